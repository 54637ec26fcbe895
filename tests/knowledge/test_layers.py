from hypothesis import given
from hypothesis import strategies as st

from streamproc.knowledge import layers
from streamproc.knowledge.layers import LayeredMap

STEPS = st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 9), st.booleans()), max_size=60)


@given(STEPS, st.integers(0, 4))
def test_every_snapshot_stays_what_the_map_was_when_it_was_taken(steps, smallest_merge):
    smallest, layers.SMALLEST_MERGE = layers.SMALLEST_MERGE, smallest_merge
    try:
        subject: LayeredMap[int, int] = LayeredMap()
        model: dict[int, int] = {}
        taken = []
        for key, value, snapshot_after in steps:
            subject.set(key, value)
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
            assert subject.get(key) == value
            assert len(subject) == len(model)
            if snapshot_after:
                taken.append((subject.snapshot(), dict(model)))
        for snapshot, expected in taken:
            assert dict(snapshot) == expected
            assert len(snapshot) == len(expected)
            assert [snapshot.get(key) for key in range(6)] == [expected.get(key) for key in range(6)]
    finally:
        layers.SMALLEST_MERGE = smallest


def test_while_nothing_is_written_nothing_is_copied():
    subject: LayeredMap[int, int] = LayeredMap()
    assert subject.snapshot() is subject.snapshot()
    subject.set(1, 1)
    changed = subject.snapshot()
    assert changed is subject.snapshot()
    assert dict(changed) == {1: 1}
