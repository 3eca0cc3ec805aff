"""`python -m mtlkit` is the command `mtlkit`."""

from mtlkit.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
