#!/bin/sh
# Print the Python to build with, or stop with the one command that installs what this machine lacks.
#   check_machine.sh [PYTHON]     PYTHON: a command or path to use instead of the newest suitable one found
set -u

stop() { # stop MESSAGE COMMAND
  printf 'This machine lacks something: %s\nInstall it with:\n\n    %s\n\n' "$1" "$2" >&2
  exit 2
}

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# apt's name of the newest suitable Python here, with its venv module
packages() {
  for minor in 13 12 11; do
    if apt-cache show "python3.$minor-venv" >/dev/null 2>&1; then
      echo "sudo apt-get install python3.$minor python3.$minor-venv"
      return
    fi
  done
  echo "sudo apt-get update && sudo apt-get install python3.11 python3.11-venv"
}

asked=${1:-}
if [ -n "$asked" ]; then set -- "$asked"; else set -- python3 python3.13 python3.12 python3.11; fi
python=
for candidate in "$@"; do
  if suits "$candidate"; then python=$candidate; break; fi
done

if [ -z "$python" ]; then
  [ -n "$asked" ] && stop "$asked is not a Python of version 3.11 or newer" "$(packages)"
  stop "Python 3.11 or newer" "$(packages)"
fi

# a Debian Python comes without ensurepip, which `python -m venv` needs
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  stop "the module venv of Python $version" "sudo apt-get install python$version-venv"
fi
echo "$python"
