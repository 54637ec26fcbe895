"""Small Go programs around the modules that container tools are made of; built once, kept in the user's cache."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

__all__ = ["CannotBuildError", "built", "built_or_skip"]

CACHE = Path("~/.cache/streamproc/tests/go").expanduser()
REQUIRE = "STREAMPROC_TESTS_REQUIRE_COMPOSE"


class CannotBuildError(Exception):
    """The program cannot be had here; the message says why."""


def built(name: str) -> Path:
    """Give the program whose source is the folder of this name beside this file, building it on the first call.

    Raises:
        CannotBuildError: there is no Go, or it could not build it.
    """
    source = Path(__file__).with_name(name)
    # Named by what it is built of: another version of a module gets its own directory.
    contents = b"".join(file.read_bytes() for file in sorted(source.iterdir()))
    home = CACHE / hashlib.sha256(contents).hexdigest()[:16]
    program = home / name
    if program.is_file():
        return program
    go = shutil.which("go")
    if go is None:
        raise CannotBuildError("Go is not on the PATH")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        command = [go, "build", "-o", f"{scratch}/built/{name}", "."]
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotBuildError(f"Go could not build {name}: {done.stderr.strip()[-300:]}")
        with contextlib.suppress(OSError):  # another run was faster
            (Path(scratch) / "built").rename(home)
    return program


def built_or_skip(name: str) -> Path:
    """The same; where it cannot be had the test that asks is left out, or fails under the variable."""
    try:
        return built(name)
    except CannotBuildError as error:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{error}, and {REQUIRE}=1 forbids leaving these tests out")
        pytest.skip(str(error))
