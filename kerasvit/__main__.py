"""`python -m kerasvit`: the command line."""

import sys

from kerasvit.cli import main

if __name__ == "__main__":
    sys.exit(main())
