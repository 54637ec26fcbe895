"""Python's cycle collector, set for a process that makes ten thousand short-lived objects a batch."""

import gc

__all__ = ["calm_collector"]

YOUNG_OBJECTS = 100_000
"""A batch of 64 notes makes some ten thousand objects, nearly all of which are gone without the collector when it ends.
At Python's 700 the collector walks the living ones of them over and over: a quarter of what recall and search cost."""

GENERATIONS = 20
"""Collections of one generation to one of the next; the oldest holds the repository and the caches."""


def calm_collector() -> None:
    """Leave alone what is loaded by now, and look for cycles among new objects once in some batches.

    To be called once models, graph and repository are open. Cycles (of tasks and their exceptions) are still found.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, GENERATIONS, GENERATIONS)
