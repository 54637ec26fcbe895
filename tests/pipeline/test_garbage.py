"""The cycle collector of a worker."""

import gc
import weakref

import pytest

from streamproc.pipeline.garbage import calm_collector


@pytest.fixture(autouse=True)
def as_before():
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Node:
    pass


def test_what_is_loaded_is_left_alone():
    loaded = [Node() for _ in range(1000)]
    calm_collector()
    assert gc.get_freeze_count() >= len(loaded)


def test_cycles_made_afterwards_are_still_found():
    calm_collector()
    node = Node()
    node.itself = node
    gone = weakref.ref(node)
    del node
    for _ in range(300_000):
        cycle = []
        cycle.append(cycle)
    assert gone() is None
