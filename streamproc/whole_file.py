"""Files that are written whole or not at all."""

import os
from pathlib import Path

from streamproc.errors import InputFileError

__all__ = ["write_whole"]


def write_whole(file: Path, content: bytes) -> None:
    """Write a file so that whoever reads it meanwhile finds the old one or the new one; links and devices stay what they are.

    Raises:
        InputFileError: it cannot be written.
    """
    try:
        file = file.resolve()
        if file.exists() and not file.is_file():
            file.write_bytes(content)
            return
        if file.exists() and not os.access(file.parent, os.W_OK):  # only the file itself is ours to write
            file.write_bytes(content)
            return
        scratch = file.with_name(f".{file.name}.partial")
        try:
            scratch.write_bytes(content)
            scratch.replace(file)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise InputFileError(f"{file} cannot be written: {error.strerror or error}") from None
