import pytest
from prometheus_client import CollectorRegistry, Histogram

from streamproc.observability.stopwatch import Stopwatch


def test_each_lap_is_the_time_since_the_one_before():
    registry = CollectorRegistry()
    moments = iter([10.0, 10.5, 13.0])
    watch = Stopwatch(Histogram("seconds", "s", ["stage"], registry=registry), lambda: next(moments))
    watch.lap("encode")
    watch.lap("search")
    assert registry.get_sample_value("seconds_sum", {"stage": "encode"}) == pytest.approx(0.5)
    assert registry.get_sample_value("seconds_sum", {"stage": "search"}) == pytest.approx(2.5)
