"""Independent pieces of work on a fixed number of threads, awaited from asyncio."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

__all__ = ["WorkPool"]


class WorkPool:
    """Runs pieces of work that release the interpreter lock, the costliest first.

    A call hands over one job a thread, not one a piece: each job takes the next piece until none is
    left. So threads stay equally busy whatever the pieces cost, and a piece adds almost no overhead.

    Args:
        threads: how many pieces run at once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="inference")

    async def run(self, work: Callable[[int], None], costs: Sequence[float]) -> None:
        """Call ``work(i)`` once for every position of ``costs``.

        When a piece raises, or the caller is cancelled, pieces not yet begun are dropped.

        Args:
            work: does the piece of that position and keeps its result itself.
            costs: what each piece costs, in any unit.
        """
        pieces = deque(sorted(range(len(costs)), key=costs.__getitem__, reverse=True))
        loop = asyncio.get_running_loop()
        jobs = [
            loop.run_in_executor(self._executor, _drain, pieces, work)
            for _ in range(min(self._threads, len(pieces)))
        ]
        try:
            await asyncio.gather(*jobs)
        finally:
            pieces.clear()

    def close(self) -> None:
        """End the threads once their present pieces are done."""
        self._executor.shutdown(cancel_futures=True)


def _drain(pieces: deque[int], work: Callable[[int], None]) -> None:
    while True:
        try:
            piece = pieces.popleft()  # atomic: several threads share the deque
        except IndexError:
            return
        try:
            work(piece)
        except BaseException:
            pieces.clear()
            raise
