"""Loads compose files as ``docker compose config`` does, without an engine.

By the docker-compose that is on the PATH, or that ``STREAMPROC_TESTS_DOCKER_COMPOSE`` names; or else by
``compose_config``, a few lines around the module inside it that reads, checks and resolves compose files. To build
that takes half a minute; to build all of docker-compose, five.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.compose.go_programs import built_or_skip

__all__ = ["CannotLoadError", "model"]

BINARY = "STREAMPROC_TESTS_DOCKER_COMPOSE"


class CannotLoadError(Exception):
    """The files are refused; the message is the loader's."""


def model(files: list[Path], variables: dict[str, str]) -> dict[str, Any]:
    """The project that the files describe, everything resolved, services of all profiles.

    Raises:
        CannotLoadError: they are refused.
    """
    compose = os.environ.get(BINARY) or shutil.which("docker-compose")
    if compose:
        named = [part for file in files for part in ("--file", str(file))]
        command = [compose, *named, "--profile", "*", "config", "--format", "json"]
    else:
        command = [str(built_or_skip("compose_config")), *map(str, files)]
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    with tempfile.TemporaryDirectory() as empty:  # no .env of this machine is read
        done = subprocess.run(
            command, cwd=empty, env={**kept, **variables}, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise CannotLoadError(done.stderr)
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded
