"""What the tests start ends with them, whatever ends them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers.process import Started, has_ended, living

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what lives is read from /proc")

SERVER = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print("up", flush=True)
time.sleep(300)
"""
"""As Milvus' wheel or Triton: the server proper is another process's child; this one does not even hear SIGTERM."""

RUN = """
import signal, sys, time
from pathlib import Path
from tests.servers.process import Started
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background inherits that it is ignored
home = Path(sys.argv[2])
server = Started([sys.executable, "-c", sys.argv[1]], home / "output.log", home=home)
print(server.pid, server._keeper.pid, flush=True)
time.sleep(300)
"""

TEST_FILE = """
import sys, time
from pathlib import Path
import pytest
from tests.servers.process import Started

HERE = Path(__file__).parent

@pytest.fixture(scope="session")
def server():
    server = Started([sys.executable, "-c", "import time; time.sleep(300)"], HERE / "output.log")
    yield server
    server.kill()
    (HERE / "torn down").touch()

def test_that_takes_long(server):
    (HERE / "pid").write_text(f"{server.pid}\\n")
    time.sleep(300)
"""


def until(path: Path, text: str) -> str:
    deadline = time.monotonic() + 60
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline, path
        time.sleep(0.05)
    return path.read_text()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_server_and_its_own_processes_end_with_the_process_that_started_it(
    tmp_path: Path, how: signal.Signals
) -> None:
    home = tmp_path / "streamproc-home-of-a-server"
    home.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", RUN, SERVER, str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stdout is not None
        server, keeper = (int(number) for number in run.stdout.readline().split())
        until(home / "output.log", "up")
        assert len(living(server)) == 2
        assert len(living(keeper)) == 1
        run.send_signal(how)
    assert has_ended(server)
    assert has_ended(keeper)
    assert not home.exists()


def test_a_test_run_that_is_asked_to_end_tears_its_fixtures_down(tmp_path: Path) -> None:
    file = tmp_path / "test_long.py"
    file.write_text(TEST_FILE)
    with subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "tests.conftest",
                "-p",
                "no:cacheprovider",
                "-c",
                os.devnull,
            ),
            *("--rootdir", str(tmp_path), str(file)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        server = int(until(tmp_path / "pid", "\n"))
        assert living(server)
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == pytest.ExitCode.INTERRUPTED
    assert (tmp_path / "torn down").exists()
    assert not living(server)


def test_stopping_a_server_that_does_not_hear_it_kills_all_of_it(tmp_path: Path) -> None:
    server = Started([sys.executable, "-c", SERVER], tmp_path / "output.log")
    until(tmp_path / "output.log", "up")
    server.stop(0.2)
    assert server.status == -signal.SIGKILL
    assert has_ended(server.pid)


def test_what_an_ended_server_leaves_behind_ends_too(tmp_path: Path) -> None:
    leaves = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])"
    )
    server = Started([sys.executable, "-c", leaves], tmp_path / "output.log")
    assert server.wait(30) == 0
    assert len(living(server.pid)) == 1
    server.stop(1)
    assert has_ended(server.pid)


def test_a_program_that_is_not_there_leaves_no_keeper(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(FileNotFoundError):
        Started([str(tmp_path / "nothing")], tmp_path / "output.log")
    assert children() == before


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
