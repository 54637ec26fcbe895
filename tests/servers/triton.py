"""A real Triton server for the tests: the binary of the wheel nvidia-pytriton, on free loopback ports.

It runs the CPU profile, that is Triton's python backend. The server and the Python it starts live in a virtual
environment of their own, made once and kept in the user's cache: they need numpy 1 (with numpy 2 that backend
gives empty tensors and calls it success), which the package itself must not be held to.
"""

import fcntl
import hashlib
import http.client
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import free_ports
from tests.servers.server import Server

__all__ = ["TritonServer", "install_triton", "triton_server", "triton_url"]

REQUIRE_TRITON = "STREAMPROC_TESTS_REQUIRE_TRITON"
REQUIREMENTS = ("nvidia-pytriton==0.7.0", "numpy<2", "onnxruntime>=1.20")
CACHE = Path("~/.cache/streamproc/tests/triton").expanduser()
REPOSITORY = Path(__file__).parents[2] / "triton_models"


class TritonUnavailableError(Exception):
    """The server cannot be had on this machine; the message says why."""


@pytest.fixture(scope="session")
def triton_server() -> Iterator["TritonServer"]:
    """Triton with the committed model repository: ``url``, ``kill()``, ``stop()``, ``start()``.

    Where it cannot be installed its tests skip and say why; under ``STREAMPROC_TESTS_REQUIRE_TRITON=1`` they fail.
    A test that stops the server starts it again before it ends.
    """
    try:
        server = TritonServer(REPOSITORY)
    except TritonUnavailableError as error:
        if os.environ.get(REQUIRE_TRITON) == "1":
            pytest.fail(f"{error}, and {REQUIRE_TRITON}=1 forbids leaving these tests out")
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def triton_url(triton_server: "TritonServer") -> str:
    """Address of Triton's gRPC service, ``host:port``."""
    return triton_server.url


def install_triton() -> Path:
    """Give the virtual environment that holds Triton, making it on the first call on this machine.

    Raises:
        TritonUnavailableError: there is no wheel for this machine, or it cannot be fetched.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise TritonUnavailableError(
            f"Triton's wheel exists for Linux on x86_64 only, not for {sys.platform} on {platform.machine()}"
        )
    # Named by what is in it: other versions, or another Python, get their own environment.
    wanted = "\n".join((*REQUIREMENTS, sys.version, sys.base_prefix))
    environment = CACHE / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with environment.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may come here at once
        complete = environment / "complete"
        if not complete.exists():
            _make_environment(environment)
            complete.touch()
    return environment


def _make_environment(environment: Path) -> None:
    # Scripts in a virtual environment hold its path, so it is made in place and marked when it is whole.
    shutil.rmtree(environment, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [str(environment / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise TritonUnavailableError(f"Triton could not be installed: {reason}")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    triton = _triton_home(environment)
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise TritonUnavailableError(f"Triton's python backend has no stub for Python {version}")
    copied = Path(shutil.copy(stub, triton / "backends/python"))
    for binary in (copied, triton / "bin/tritonserver"):
        binary.chmod(0o755)


def _site_packages(environment: Path) -> Path:
    return environment / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def _triton_home(environment: Path) -> Path:
    return _site_packages(environment) / "pytriton/tritonserver"


class TritonServer(Server):
    """One Triton server; use it as a context manager.

    Ports stay the same over :meth:`stop`, :meth:`kill` and :meth:`start`.

    Args:
        repository: the model repository.
        options: further options of ``tritonserver``.
        on_request: whether it loads and unloads models when it is asked to.

    Raises:
        TritonUnavailableError: Triton cannot be had on this machine.
    """

    def __init__(self, repository: Path, *options: str, on_request: bool = True) -> None:
        self._environment = install_triton()
        grpc, self._http, metrics = free_ports(3)
        self.url = f"127.0.0.1:{grpc}"
        """Address of the gRPC service."""
        self.metrics_url = f"http://127.0.0.1:{metrics}/metrics"
        super().__init__("Triton")
        self._shared_memory = self._home.name
        triton = _triton_home(self._environment)
        loopback = "127.0.0.1"
        self._tritonserver = [
            str(triton / "bin/tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={triton / 'backends'}",
            "--disable-auto-complete-config",
            *(("--model-control-mode=explicit", "--load-model=*") if on_request else ()),
            *(f"--grpc-address={loopback}", f"--grpc-port={grpc}"),
            *(f"--http-address={loopback}", f"--http-port={self._http}"),
            *(f"--metrics-address={loopback}", f"--metrics-port={metrics}"),
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory}",
            "--exit-timeout-secs=5",
            *options,
        ]

    @property
    def log(self) -> str:
        """All it has written so far."""
        return (self._home / "output.log").read_text(errors="replace")

    def stop(self) -> None:
        """Stop the server in good order (SIGTERM); it ends the processes of its models itself."""
        super().stop()
        self._unlink_shared_memory()

    def kill(self) -> None:
        """Kill the server and the processes of its models (SIGKILL)."""
        super().kill()
        self._unlink_shared_memory()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay, nothing answers."""
        assert self._process is not None
        self._process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """End :meth:`pause` (SIGCONT)."""
        assert self._process is not None
        self._process.send(signal.SIGCONT)

    def _unlink_shared_memory(self) -> None:
        # A backend that is killed leaves the memory it shared with the server behind.
        for region in Path("/dev/shm").glob(f"{self._shared_memory}*"):
            region.unlink(missing_ok=True)

    def _command(self) -> list[str]:
        return self._tritonserver

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._http, timeout=1)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _variables(self) -> dict[str, str]:
        libraries = [
            str(_site_packages(self._environment) / "nvidia_pytriton.libs"),
            sysconfig.get_config_var("LIBDIR") or "",  # the stub links to libpython
        ]
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            # The backend runs the first Python on the PATH.
            "PATH": f"{self._environment / 'bin'}:{os.environ.get('PATH', '')}",
            "VIRTUAL_ENV": str(self._environment),
            "LD_LIBRARY_PATH": ":".join(libraries),
        }
