"""The command line: python -m alexnet_lib {data,train,evaluate,search,inspect,experiment,two-gpus,bench} …"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

from .commands.parsers import parser
from .errors import AlexNetLibError, first_line, out_of_memory, printable
from .system.files import FULL


def main(argv: list[str] | None = None) -> int:
    """Parse, run, and turn the errors a reader can mend into one line and exit code 2; others into one and 1."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # None where a caller has closed it
    args = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files may hold what the terminal, or UTF-8, has not
            stream.reconfigure(errors="backslashreplace")
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except AlexNetLibError as error:
        print("error: " + "\n".join(map(printable, str(error).split("\n"))), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain once more at its end
        return 141
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            sys.stdout = open(os.devnull, "w")  # it may be what is full
            print(f"error: no space is left to write on ({first_line(error)}): make room", file=sys.stderr)
            return 2
        return _unforeseen(error)


def _unforeseen(error: Exception) -> int:
    """One line; of an error that is a fault of ours, the traceback is in the file that the line names."""
    said = f"{type(error).__name__}: {first_line(error)}"
    if out_of_memory(error):
        print(f"error: the memory is too small for this ({said}): ask for less, or give --device cpu", file=sys.stderr)
        return 2
    how = {"encoding": "utf-8", "errors": "backslashreplace", "prefix": "alexnet_lib-", "suffix": ".txt"}
    try:
        with tempfile.NamedTemporaryFile("w", delete=False, **how) as file:
            file.writelines(traceback.format_exception(error))
    except OSError:  # no room for it
        traceback.print_exception(error)
        return 1
    print(f"error: {said}. This was not foreseen: please report it, with {file.name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
