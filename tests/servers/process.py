"""Started servers never outlive the test run, however it ends; free loopback ports."""

import contextlib
import ctypes
import signal
import socket
import sys
from collections.abc import Callable

__all__ = ["end_with_parent", "free_ports"]

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may take a lock


def end_with_parent(by: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel sends the signal to the child when the test run ends, even by SIGKILL."""

    def between_fork_and_exec() -> None:
        if sys.platform == "linux":
            _LIBC.prctl(_PR_SET_PDEATHSIG, by)

    return between_fork_and_exec


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface on which nobody listens; held together, so that all differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
