"""Loads compose files as ``docker compose config`` does, without an engine.

``docker-compose`` where it is on the PATH; or else ``compose_config``, a few lines around the module inside it that
reads, checks and resolves compose files, built once with Go and kept in the user's cache. That takes half a minute;
all of docker-compose, five.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["CannotLoadError", "CannotRunError", "loader", "model"]

SOURCE = Path(__file__).with_name("compose_config")
CACHE = Path("~/.cache/streamproc/tests/compose_config").expanduser()
BINARY = "STREAMPROC_TESTS_DOCKER_COMPOSE"
"""Names a docker-compose that is not on the PATH."""


class CannotRunError(Exception):
    """There is nothing here that loads compose files; the message says what is missing."""


class CannotLoadError(Exception):
    """The files are refused; the message is the loader's."""


def loader() -> list[str]:
    """The command that loads compose files, all but their names.

    Raises:
        CannotRunError: neither docker-compose nor Go is there.
    """
    named = os.environ.get(BINARY) or shutil.which("docker-compose")
    if named:
        return [named]
    return [str(_compose_config())]


def model(command: list[str], files: list[Path], variables: dict[str, str]) -> dict[str, Any]:
    """The project that the files describe, everything resolved, services of all profiles.

    Raises:
        CannotLoadError: they are refused.
    """
    if Path(command[0]).name == SOURCE.name:
        arguments = [str(file) for file in files]
    else:
        named = [part for file in files for part in ("--file", str(file))]
        arguments = [*named, "--profile", "*", "config", "--format", "json"]
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    with tempfile.TemporaryDirectory() as empty:  # no .env of this machine is read
        done = subprocess.run(
            [*command, *arguments],
            cwd=empty,
            env={**kept, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise CannotLoadError(done.stderr)
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def _compose_config() -> Path:
    # Named by what it is built of: another version of the module gets its own directory.
    files = sorted(SOURCE.iterdir())
    home = CACHE / hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    binary = home / SOURCE.name
    if binary.is_file():
        return binary
    go = shutil.which("go")
    if go is None:
        raise CannotRunError("neither docker-compose nor Go is on the PATH")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        command = [go, "build", "-o", f"{scratch}/built/{SOURCE.name}", "."]
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotRunError(f"Go could not build compose-go: {done.stderr.strip()[-300:]}")
        with contextlib.suppress(OSError):  # another run was faster
            (Path(scratch) / "built").rename(home)
    return binary
