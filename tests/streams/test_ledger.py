from hypothesis import given
from hypothesis import strategies as st

from streamproc.streams.ledger import OffsetLedger, Partition

P0, P1 = Partition("notes.new", 0), Partition("notes.new", 1)


class Now:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def test_nothing_is_committable_before_the_first_release():
    ledger = OffsetLedger(Now())
    ledger.track(P0, 5)
    assert ledger.committable() == {}
    assert ledger.in_flight == 1


def test_a_record_released_early_waits_for_those_before_it():
    ledger = OffsetLedger(Now())
    first, second, third = (ledger.track(P0, offset) for offset in (5, 6, 9))
    ledger.release(third)
    ledger.release(second)
    assert ledger.committable() == {}
    ledger.release(first)
    assert ledger.committable() == {P0: 10}


def test_what_was_committed_is_not_committed_again():
    ledger = OffsetLedger(Now())
    ledger.release(ledger.track(P0, 0))
    ledger.committed(ledger.committable())
    assert ledger.committable() == {}


def test_what_comes_before_the_oldest_in_flight_may_be_committed_also_where_the_log_has_a_gap():
    ledger = OffsetLedger(Now())
    ledger.release(ledger.track(P0, 5))
    ledger.begin_at(ledger.track(P0, 9))
    assert ledger.committable() == {P0: 9}


def test_a_revoked_partition_releases_nothing_any_more():
    ledger = OffsetLedger(Now())
    old, other = ledger.track(P0, 0), ledger.track(P1, 0)
    ledger.revoke([P0])
    ledger.release(old)
    ledger.release(other)
    assert old.dropped
    assert ledger.committable() == {P1: 1}
    assert ledger.in_flight == 0


def test_a_partition_that_comes_back_starts_anew():
    ledger = OffsetLedger(Now())
    late = ledger.track(P0, 7)
    ledger.revoke()
    again = ledger.track(P0, 7)
    ledger.release(late)
    assert ledger.committable() == {}
    ledger.release(again)
    assert ledger.committable() == {P0: 8}


def test_a_record_delivered_twice_is_taken_once():
    ledger = OffsetLedger(Now())
    assert ledger.track(P0, 3) is not None
    assert ledger.track(P0, 3) is None


def test_the_oldest_record_in_flight_gives_the_age():
    now = Now()
    ledger = OffsetLedger(now)
    assert ledger.oldest_age_seconds() == 0
    first = ledger.track(P0, 0)
    now.seconds = 4
    second = ledger.track(P1, 0)
    now.seconds = 10
    assert ledger.oldest_age_seconds() == 10
    ledger.release(first)
    assert ledger.oldest_age_seconds() == 6
    ledger.release(second)
    assert ledger.oldest_age_seconds() == 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_the_committable_offset_never_passes_a_record_in_flight(arrivals, chance):
    """Gaps in offsets (compaction) included; releases in any order, repeated, and revokes in between."""
    ledger = OffsetLedger(Now())
    last = {}
    tickets = []
    for partition, step in arrivals:
        where = Partition("notes.new", partition)
        last[where] = last.get(where, -1) + step
        tickets.append(ledger.track(where, last[where]))
    in_flight = {(each.partition, each.offset) for each in tickets}
    chance.shuffle(tickets)
    for ticket in tickets:
        if chance.random() < 0.1:
            ledger.revoke([ticket.partition])
            in_flight = {each for each in in_flight if each[0] != ticket.partition}
        ledger.release(ticket)
        ledger.release(ticket)
        in_flight.discard((ticket.partition, ticket.offset))
        for where, offset in ledger.committable().items():
            assert all(each[1] >= offset for each in in_flight if each[0] == where)
        assert ledger.in_flight == len(in_flight)
