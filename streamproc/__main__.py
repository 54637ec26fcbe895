"""The program: ``streamproc``, or ``python -m streamproc``."""

import sys

__all__ = ["main"]


def main() -> None:
    """Load the command line and run it; Ctrl-C while it loads ends it as quietly as later."""
    try:
        from streamproc.cli import main as run  # noqa: PLC0415 - what takes a moment to load
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
