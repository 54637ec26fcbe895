"""The gate: agents do nothing while something they rely on is not in order."""

import asyncio
from collections.abc import Mapping

__all__ = ["Gate"]


class Gate:
    """Open when no reason holds it shut. Reasons have names, so that each is set and lifted by itself."""

    def __init__(self, *reasons: str) -> None:
        self._reasons = dict.fromkeys(reasons, "not checked yet")
        self._open = asyncio.Event()
        self._settle()

    @property
    def is_open(self) -> bool:
        """Whether work may go on."""
        return self._open.is_set()

    @property
    def reasons(self) -> Mapping[str, str]:
        """What holds the gate shut: name and explanation."""
        return dict(self._reasons)

    def shut(self, name: str, explanation: str) -> None:
        """Hold the gate shut for a reason."""
        self._reasons[name] = explanation
        self._settle()

    def lift(self, name: str) -> None:
        """The reason is gone."""
        self._reasons.pop(name, None)
        self._settle()

    async def wait_open(self) -> None:
        """Return when nothing holds the gate shut."""
        while not self._open.is_set():  # it may have been shut again before this task's turn
            await self._open.wait()

    def _settle(self) -> None:
        if self._reasons:
            self._open.clear()
        else:
            self._open.set()
