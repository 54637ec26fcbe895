"""Which records are taken alone after a process ended, and when one of them is dead."""

import contextlib

import pytest
from aiokafka.errors import CommitFailedError

from streamproc.observability.clock import SystemClock
from streamproc.streams.ledger import Partition, Ticket
from streamproc.streams.suspects import AT_WORK, CLEAN, MOST_ENDS, Commit, Suspects, TakenUp

P0, P1 = Partition("notes.new", 0), Partition("notes.new", 1)
WINDOW = 10


class Log:
    """What was announced; fails as often as a test wants."""

    def __init__(self):
        self.marks = {}
        self.failures = self.commits = 0

    async def announce(self, ticket, mark, seconds):
        if self.failures:
            self.failures -= 1
            raise CommitFailedError("a rebalance is under way")
        self.marks[ticket.partition] = Commit(ticket.offset, mark)

    async def commit(self, seconds):
        self.commits += 1


class QuickClock(SystemClock):
    async def sleep(self, seconds):
        pass


@contextlib.asynccontextmanager
async def at_once():
    """Nobody else does anything."""
    yield


def suspects_in(log, commits):
    suspects = Suspects(WINDOW, log, QuickClock(), at_once)
    found = suspects.find({partition: TakenUp(commit, 1000) for partition, commit in commits.items()})
    return suspects, found


@pytest.fixture
def log():
    return Log()


def found(log):
    suspects, number = suspects_in(log, {P0: Commit(5, AT_WORK)})
    assert number == 1
    return suspects


def at(offset, partition=P0):
    return Ticket(partition, offset, 0.0)


def test_after_a_clean_end_nothing_is_suspected(log):
    suspects, number = suspects_in(log, {P0: Commit(5, CLEAN)})
    assert number == 0
    assert not suspects.suspected(at(5))


def test_after_an_unclean_one_what_may_have_been_under_way_is(log):
    suspects = found(log)
    assert [offset for offset in range(30) if suspects.suspected(at(offset))][-1] == 5 + WINDOW - 1
    assert not suspects.suspected(at(5, P1))


def test_partitions_share_what_a_worker_may_have_had_under_way(log):
    suspects, number = suspects_in(log, {P0: Commit(5, AT_WORK), P1: Commit(0, AT_WORK)})
    assert number == 2
    assert [offset for offset in range(30) if suspects.suspected(at(offset))] == list(range(10))
    assert [offset for offset in range(30) if suspects.suspected(at(offset, P1))] == list(range(5))


def test_a_new_assignment_forgets_the_suspects_of_the_last(log):
    suspects = found(log)
    assert suspects.find({P1: TakenUp(Commit(0, CLEAN), 1000)}) == 0
    assert not suspects.suspected(at(5))


async def test_a_record_that_ends_every_process_is_dead_the_third_time(log):
    """Once it was met in a batch; then each new process reads what the last one announced."""
    mark, ends = Commit(5, AT_WORK), 1
    while True:
        suspects, _ = suspects_in(log, {P0: mark})
        verdict = await suspects.begin(at(7))
        if verdict is not None:
            break
        mark, ends = log.marks[P0], ends + 1
    assert ends == MOST_ENDS == 3
    assert type(verdict.error).__name__ == "FatalRecordError"
    assert (verdict.stage, verdict.attempts) == ("process", 3)


async def test_those_behind_it_are_not_blamed_for_it(log):
    suspects, _ = suspects_in(log, {P0: Commit(7, "alone 2")})
    assert await suspects.begin(at(7)) is not None
    assert await suspects.begin(at(8)) is None
    assert log.marks[P0] == Commit(8, "alone 1")


async def test_a_record_is_announced_before_it_is_begun_however_long_that_takes(log):
    log.failures = 3
    assert await found(log).begin(at(6)) is None
    assert log.marks[P0] == Commit(6, "alone 1")


async def test_what_is_done_is_committed_at_once(log):
    await found(log).end()
    assert log.commits == 1


async def test_a_record_whose_partition_is_lost_is_not_announced(log):
    log.failures = 10**9
    ticket = at(6)
    ticket.dropped = True
    assert await found(log).begin(ticket) is None
    assert log.marks == {}


@pytest.mark.parametrize("mark", ["somebody else's", "alone x", "alone -1"])
async def test_a_mark_that_is_not_ours_is_one_of_an_unclean_end(log, mark):
    suspects, number = suspects_in(log, {P0: Commit(5, mark)})
    assert number == 1
    assert await suspects.begin(at(5)) is None
