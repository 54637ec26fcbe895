"""Milvus for the tests: Milvus Lite's own server in another process, and a real standalone server.

Both listen on a free loopback port and are stopped at the end. The standalone server comes in the
wheel ``milvus`` 2.3.5, kept in a virtual environment of its own in the user's cache.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from pymilvus import MilvusClient

from tests.servers.process import Started, free_ports

__all__ = ["MilvusLiteServer", "milvus_server", "milvus_standalone"]

START_SECONDS = 60.0
STOP_SECONDS = 10.0
STANDALONE_VENV = Path("~/.cache/streamproc/tests/milvus-venv").expanduser()
FETCH_STANDALONE = "STREAMPROC_TESTS_FETCH_MILVUS"
STANDALONE_PACKAGES = ("milvus==2.3.5", "setuptools<80")
STANDALONE_SCRIPT = """
import sys
from milvus import default_server
default_server.listen_port = int(sys.argv[1])
default_server.set_base_dir(sys.argv[2])
default_server.start()
default_server.wait()
"""


class MilvusLiteServer:
    """``milvus-lite server`` on a free port: gRPC, several clients, another process. A context manager."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        (self._port,) = free_ports(1)
        self._process: Started | None = None

    @property
    def uri(self) -> str:
        """What a client connects to."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it on its port, with the data it has."""
        command = [
            *(str(Path(sys.executable).with_name("milvus-lite")), "server"),
            *("--data-dir", str(self.data_dir), "--host", "127.0.0.1", "--port", str(self._port)),
        ]
        self._process = Started(command, Path(os.devnull))
        _wait_until_answering(self.uri, self._process)

    def kill(self) -> None:
        """SIGKILL: what was confirmed must survive it."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still: connections stay, nothing is answered."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        self._process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send(signal.SIGCONT)

    def stop(self) -> None:
        """Stop it as an operator would."""
        if self._process is not None:
            self._process.stop(STOP_SECONDS)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusLiteServer]:
    """A Milvus server that several processes may use; take a topic prefix of your own."""
    with MilvusLiteServer(tmp_path_factory.mktemp("milvus") / "server.db") as server:
        yield server


@pytest.fixture(scope="session")
def milvus_standalone() -> Iterator[str]:
    """Address of a real Milvus standalone server; its tests skip where the wheel cannot be had or started."""
    python = STANDALONE_VENV / "bin" / "python"
    if not python.exists():
        if os.environ.get(FETCH_STANDALONE) != "1":
            pytest.skip(
                f"Milvus standalone is not there; {FETCH_STANDALONE}=1 fetches it into {STANDALONE_VENV}"
            )
        subprocess.run([sys.executable, "-m", "venv", str(STANDALONE_VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *STANDALONE_PACKAGES], check=True)
    with tempfile.TemporaryDirectory(prefix="milvus-standalone-", ignore_cleanup_errors=True) as base:
        (port,) = free_ports(1)
        uri = f"http://127.0.0.1:{port}"
        output = Path(base) / "output.log"
        process = Started([str(python), "-c", STANDALONE_SCRIPT, str(port), base], output, home=Path(base))
        try:
            try:
                _wait_until_answering(uri, process)
            except RuntimeError as error:
                pytest.skip(f"Milvus standalone does not start here: {error} {output.read_text()[-400:]}")
            yield uri
        finally:
            process.kill()  # its data end with it


def _wait_until_answering(uri: str, process: Started) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.status is not None:
            raise RuntimeError(f"the server ended with status {process.status}")
        try:
            client = MilvusClient(uri=uri, timeout=2)
            client.list_collections(timeout=2)
            client.close()
        except Exception:  # noqa: BLE001 - not up yet, whatever it says
            time.sleep(0.2)
        else:
            return
    process.kill()
    raise RuntimeError(f"the server at {uri} did not answer within {START_SECONDS:g} s")
