"""The command line of every benchmark: one look, a person's mistake is a sentence and exit status 2."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Split
from streamproc.extras import Extra, how_to_install

__all__ = ["datasets_parser_of", "needing", "parser_of", "run"]


def parser_of(about: str) -> argparse.ArgumentParser:
    """A parser whose help shows a module's docstring as it was written."""
    program = f"benchmarks.{Path(sys.argv[0]).stem}".removesuffix(".__main__")
    return argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def datasets_parser_of(about: str) -> argparse.ArgumentParser:
    """A parser that asks for ``root``, ``split`` and the ``names`` of datasets below the root."""
    parser = parser_of(about)
    parser.add_argument("root", type=Path, help="directory of the datasets")
    parser.add_argument("split", type=Split, choices=list(Split))
    parser.add_argument("names", nargs="+", help="of the datasets")
    return parser


def run(command: Callable[[], object]) -> None:
    """Run a benchmark; a :class:`UserError` ends it with one sentence and exit status 2."""
    try:
        command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def needing(extra: Extra) -> Iterator[None]:
    """Around imports of an optional dependency.

    Raises:
        UserError: it is not installed; says how it is.
    """
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"this benchmark needs what is not installed ({error.name}): {how_to_install(extra)}"
        ) from None
