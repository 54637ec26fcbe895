"""What a server of the tests is: a directory of its own, a process, and an end."""

import atexit
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.process import Started

__all__ = ["Server"]

START_SECONDS = 90.0
STOP_SECONDS = 30.0


class Server(ABC):
    """A server that may be stopped, killed and started again with its data; use it as a context manager."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._home = Path(tempfile.mkdtemp(prefix=f"streamproc-{name.lower()}-"))
        self._process: Started | None = None
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        """Process id of the server while it runs, and of its session; 0 otherwise."""
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process is not None and self._process.status is None

    def start(self) -> None:
        """Start it and return when it answers.

        Raises:
            RuntimeError: it ended or did not answer in time; the end of what it wrote is in the message.
        """
        self._process = Started(
            self._command(), self._home / "output.log", environment=self._variables(), home=self._home
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._name} did not start: {self._said()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it in good order (SIGTERM); its data stay."""
        if self._process is not None:
            self._process.stop(STOP_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Kill it and all that it started (SIGKILL); its data stay as they are."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        """Stop it in good order and start it again on the same ports with the same data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill it and delete its data. Calling it twice is fine."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The program and its arguments."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves."""

    def _variables(self) -> Mapping[str, str] | None:
        """Of its environment; None: those of the tests."""
        return None

    def _said(self) -> str:
        """The end of what it wrote."""
        return (self._home / "output.log").read_text(errors="replace")[-3000:]
