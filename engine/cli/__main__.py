"""`python -m engine.cli`: the command where none is installed."""

import sys

from engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
