import random
from datetime import UTC, datetime

import pytest

from streamproc.errors import BusyError, DeadlineError
from streamproc.llm.retry import Retry, retry_after_seconds

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("20", 20.0),
        ("-3", 0.0),
        ("soon", None),
        ("Wed, 01 May 2024 12:01:30 GMT", 90.0),
        ("Wed, 01 May 2024 11:00:00 GMT", 0.0),
    ],
)
def test_the_header_may_hold_seconds_or_a_date(header, seconds):
    assert retry_after_seconds(header, NOW) == seconds


def test_pauses_grow_up_to_a_bound_and_differ():
    retry, chance = Retry(attempts=100, longest_seconds=60), random.Random(1)
    pauses = [retry.pause_seconds(attempt, DeadlineError(), chance) for attempt in range(1, 20)]
    assert all(
        min(60, 2.0 ** (n - 1)) / 2 <= pause <= min(60, 2.0 ** (n - 1)) for n, pause in enumerate(pauses, 1)
    )
    assert len(set(pauses)) == len(pauses)


def test_after_the_last_attempt_there_is_no_pause():
    assert Retry(attempts=3).pause_seconds(3, DeadlineError(), random.Random(1)) is None


def test_what_the_endpoint_asks_for_is_never_cut_short():
    assert 90 <= Retry().pause_seconds(1, BusyError("", 90.0), random.Random(1)) <= 91
