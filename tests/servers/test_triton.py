"""The Triton server of the tests behaves as the other tests rely on."""

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.servers import triton
from tests.servers.process import has_ended, living
from tests.servers.triton import TritonServer


def test_it_tells_prometheus_of_its_models(triton_server: TritonServer) -> None:
    with urllib.request.urlopen(triton_server.metrics_url, timeout=5) as answer:
        assert 'nv_inference_request_success{model="encoder",version="1"}' in answer.read().decode()


def test_an_unfit_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(triton.TritonUnavailableError, match="not for linux on riscv64"):
        triton.install_triton()


@pytest.mark.usefixtures("triton_server")
def test_the_server_dies_with_a_killed_test_run() -> None:
    code = (
        "import time; from tests.servers.triton import REPOSITORY, TritonServer\n"
        "server = TritonServer(REPOSITORY); server.start()\n"
        "print(server.pid, server._process._keeper.pid, server._shared_memory, flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    session, keeper, regions = run.stdout.readline().split()
    assert len(living(int(session))) > 1  # the models' processes, too
    assert list(Path("/dev/shm").glob(f"{regions}*"))
    run.kill()
    run.wait()
    run.stdout.close()
    assert has_ended(int(session))
    assert has_ended(int(keeper))
    assert not list(Path("/dev/shm").glob(f"{regions}*"))


def test_a_killed_server_leaves_no_shared_memory(triton_server: TritonServer) -> None:
    regions = f"{triton_server._shared_memory}*"
    assert list(Path("/dev/shm").glob(regions))
    triton_server.kill()
    assert not list(Path("/dev/shm").glob(regions))
    triton_server.start()
