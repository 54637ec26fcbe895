"""Servers of the tests as processes that never outlive the test run, however it ends; free loopback ports."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Started", "free_ports", "has_ended", "living"]

END_SECONDS = 30.0

_KEEPER = """
import os, signal, sys
group = int(sys.stdin.readline() or 0)
sys.stdin.read()
try:
    if group:
        os.killpg(group, signal.SIGKILL)
finally:
    import glob, shutil, time
    for home in sys.argv[1:]:
        for _ in range(50):  # a process that is being killed may still write
            shutil.rmtree(home, ignore_errors=True)
            if not os.path.exists(home):
                break
            time.sleep(0.1)
        for region in glob.glob(f"/dev/shm/{os.path.basename(home)}*"):
            os.unlink(region)
"""


class Started:
    """A process under way, in a group of its own with all that it starts.

    A keeper beside it waits on a pipe that this process alone holds open: when the test run ends, even by SIGKILL,
    the kernel closes the pipe, and the keeper kills the whole group and deletes what it kept. The group is told to
    the keeper before the program begins, so there is no moment in which it could be left behind.
    """

    def __init__(
        self,
        command: Sequence[str],
        output: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        home: Path | None = None,
    ) -> None:
        """Start it.

        Args:
            command: the program and its arguments.
            output: what it writes to its standard output and error is appended here.
            environment: its variables; those of this process unless given.
            directory: that it works in.
            home: where it keeps its files; whoever started it deletes that, or the keeper in their stead, and the shared
                memory that is named after it.

        Raises:
            OSError: the program cannot be started.
        """
        # Sessions of their own: Ctrl-C in the terminal ends the tests first, the servers after them.
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER, *([str(home)] if home is not None else [])],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._keeper.stdin is not None
        pipe = self._keeper.stdin.fileno()

        def tell_keeper() -> None:
            os.write(pipe, b"%d\n" % os.getpid())

        try:
            with output.open("ab") as file:
                self._process = subprocess.Popen(
                    command,
                    env=environment,
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=tell_keeper,  # noqa: PLW1509 - two system calls, no lock
                )
        except OSError:
            self._dismiss_keeper()
            raise

    @property
    def pid(self) -> int:
        """Number of the process, of its group and of its session."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._process.poll()

    def send(self, what: signal.Signals) -> None:
        """Send a signal to the whole group; none is left: nothing happens."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, what)

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself and give its status.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        return self._process.wait(seconds)

    def stop(self, seconds: float) -> None:
        """Stop it in good order (SIGTERM); what is left of its group after so long is killed."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill the whole group (SIGKILL). Calling it twice is fine."""
        self.send(signal.SIGKILL)
        self._process.wait()
        self._dismiss_keeper()

    def _dismiss_keeper(self) -> None:
        self._keeper.kill()  # closing its pipe would have it kill a group whose number may be another's by now
        self._keeper.wait()
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()


def living(session: int) -> list[int]:
    """Numbers of a session's processes that have not ended, from ``/proc``."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = stat.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:  # ended meanwhile
            continue
        if int(number) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def has_ended(session: int) -> bool:
    """Whether all of a session's processes end within a while."""
    deadline = time.monotonic() + END_SECONDS
    while living(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface on which nobody listens; held together, so that all differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
