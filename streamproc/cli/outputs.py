"""What a command will write: refused before the work where it cannot be written."""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from streamproc.errors import InputFileError

__all__ = ["require_new_directory", "require_outputs"]


def require_outputs(*outputs: Path | None, inputs: Iterable[Path | None] = ()) -> None:
    """Refuse outputs that would fail in the end, or take the place of what is read.

    Args:
        outputs: files that will be written; None: not asked for.
        inputs: files that are read; None: not named.

    Raises:
        InputFileError: an output is a directory, stands in none that can be written to, or is an input or another output.
    """
    taken = {path.resolve() for path in inputs if path is not None and path.is_file()}
    for output in outputs:
        if output is None:
            continue
        _require_writable(output)
        if output.resolve() in taken:
            raise InputFileError(f"{output} would be overwritten while it is in use: name another file")
        if output.is_file() or not output.exists():  # /dev/null may be several
            taken.add(output.resolve())


def _require_writable(output: Path) -> None:
    parent = output.absolute().parent
    if output.is_dir():
        reason = "it is a directory"
    elif not parent.is_dir():
        reason = f"{parent} is not a directory"
    elif not os.access(output if output.exists() else parent, os.W_OK):
        reason = "permission denied"
    else:
        return
    raise InputFileError(f"{output} cannot be written: {reason}")


def require_new_directory(output: Path) -> None:
    """Refuse a directory that, made beside its place, could not be put there in the end.

    Raises:
        InputFileError: nothing can be made beside it, or it is where a file system is mounted.
    """
    if output.is_mount():
        raise InputFileError(f"{output} cannot be replaced as a whole, it is mounted: name a directory in it")
    try:
        place = next(each for each in output.resolve().parents if each.exists())
        with TemporaryDirectory(prefix=".streamproc", dir=place):
            pass  # tried, not asked: what may be written to differs for root and on some file systems
    except OSError as error:
        raise InputFileError(f"{output} cannot be written: {error.strerror or error}") from None
