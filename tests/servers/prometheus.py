"""Prometheus and promtool for the tests: those on the PATH, or Debian's package unpacked into the user's cache."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.process import Started, free_ports

__all__ = ["PrometheusServer", "prometheus_binary", "prometheus_server", "promtool"]

REQUIRE = "STREAMPROC_TESTS_REQUIRE_PROMETHEUS"
CACHE = Path("~/.cache/streamproc/tests/prometheus").expanduser()
START_SECONDS = 30.0
STOP_SECONDS = 10.0


@pytest.fixture(scope="session")
def promtool() -> str:
    """Path of ``promtool``; where it cannot be had, its tests skip and say why (or fail, with the variable set)."""
    return _binary("promtool")


@pytest.fixture(scope="session")
def prometheus_binary() -> str:
    """Path of ``prometheus``, likewise."""
    return _binary("prometheus")


def _binary(name: str) -> str:
    found = shutil.which(name)
    if found is not None:
        return found
    try:
        return str(_unpacked() / "usr/bin" / name)
    except RuntimeError as error:
        reason = f"{name} is not on the PATH, and Debian's package cannot be had: {error}"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{reason}; {REQUIRE}=1 forbids leaving these tests out")
        pytest.skip(reason)


def _unpacked() -> Path:
    """Unpack the package, without installing it: no service is started, and root is not needed."""
    home = CACHE / "unpacked"
    if home.is_dir():
        return home
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise RuntimeError("this is not Debian")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        done = _run(["apt-get", "download", "prometheus"], scratch)
        if done.returncode != 0 and os.geteuid() == 0:
            _run(["apt-get", "update"], scratch)
            done = _run(["apt-get", "download", "prometheus"], scratch)
        packages = list(Path(scratch).glob("prometheus_*.deb"))
        if done.returncode != 0 or not packages:
            raise RuntimeError((done.stderr.strip() or "no package came").splitlines()[-1])
        unpacked = Path(scratch) / "unpacked"
        if _run(["dpkg-deb", "--extract", str(packages[0]), str(unpacked)], scratch).returncode != 0:
            raise RuntimeError("the package cannot be unpacked")
        with contextlib.suppress(OSError):  # another run was faster
            unpacked.rename(home)
    return home


def _run(command: list[str], directory: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


class PrometheusServer:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an answer of its HTTP interface.

        Raises:
            AssertionError: it refuses the request; its words are the message.
        """
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{query}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def query(self, expression: str) -> list[Any]:
        """The samples of an expression at this moment."""
        result: list[Any] = self.get("query", query=expression)["result"]
        return result


@contextlib.contextmanager
def prometheus_server(binary: str, configuration: Path) -> Iterator[PrometheusServer]:
    """Run Prometheus on a free port until the block ends."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="streamproc-prometheus-") as home:
        log = Path(home) / "output.log"
        command = [
            binary,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={home}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        process = Started(command, log, directory=Path(home), home=Path(home))
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _is_ready(port):
                assert process.status is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(0.1)
            yield PrometheusServer(f"http://127.0.0.1:{port}")
        finally:
            process.stop(STOP_SECONDS)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2):
            return True
    except OSError:
        return False
