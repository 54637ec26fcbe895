from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from streamproc.observability.histograms import observe_all

VALUES = st.lists(st.integers(0, 40).map(lambda eighths: eighths / 8))


@given(VALUES, VALUES)
def test_many_at_once_are_what_one_after_the_other_are(first, second):
    one, many = CollectorRegistry(), CollectorRegistry()
    singly = Histogram("size", "s", buckets=(0, 0.5, 1, 2, 4), registry=one)
    at_once = Histogram("size", "s", buckets=(0, 0.5, 1, 2, 4), registry=many)
    for value in first + second:
        singly.observe(value)
    observe_all(at_once, first)
    observe_all(at_once, second)
    assert [line for line in generate_latest(many).splitlines() if b"_created" not in line] == [
        line for line in generate_latest(one).splitlines() if b"_created" not in line
    ]


def test_a_labelled_series_takes_them_too():
    registry = CollectorRegistry()
    histogram = Histogram("delay", "d", ["agent"], registry=registry)
    observe_all(histogram.labels("graph"), [1.0, 2.0])
    assert registry.get_sample_value("delay_sum", {"agent": "graph"}) == 3
    assert registry.get_sample_value("delay_count", {"agent": "graph"}) == 2
