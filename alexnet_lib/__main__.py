"""The command line: python -m alexnet_lib {data,train,evaluate,search,inspect,experiment,two-gpus,bench} …"""

from __future__ import annotations

import os
import sys

from .commands.parsers import parser
from .errors import AlexNetLibError


def main(argv: list[str] | None = None) -> int:
    """Parse, run, and turn the errors a reader can mend into one line and exit code 2."""
    args = parser().parse_args(argv)
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except AlexNetLibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain once more at its end
        return 141


if __name__ == "__main__":
    sys.exit(main())
