"""Counting outcomes by source position."""

import pytest

from streamproc.events.position import SourcePosition
from streamproc.streams.tally import Fate, Tally


def at(offset):
    return SourcePosition("notes.new", 0, offset)


def test_every_record_is_counted_once_under_its_fate():
    tally = Tally()
    for offset in range(4):
        tally.published(at(offset), 0.0, 100)
    tally.outcome(at(0), Fate.TAGGED, 1.0, tags=3)
    tally.outcome(at(0), Fate.TAGGED, 9.0, tags=5)
    tally.outcome(at(1), Fate.DELETED, 1.0)
    tally.outcome(at(2), Fate.DEAD, 2.0)
    summary = tally.summary(0.5)
    assert (summary.notes_in, summary.tagged, summary.deleted, summary.dead) == (4, 1, 1, 1)
    assert summary.tags_per_note == 3
    assert summary.notes_per_second == 1.5


def test_an_outcome_may_be_seen_before_the_confirmation_of_its_record():
    tally = Tally()
    tally.outcome(at(0), Fate.TAGGED, 1.25)
    tally.published(at(0), 1.0, 100)
    assert (tally.waiting_records, tally.waiting_bytes) == (0, 0)
    assert tally.summary(0).p50_ms == pytest.approx(250)


def test_what_waits_for_its_outcome_is_known_in_records_and_bytes():
    tally = Tally()
    tally.published(at(0), 0.0, 70)
    tally.published(at(1), 0.0, 30)
    tally.outcome(at(0), Fate.DEAD, 1.0)
    assert (tally.waiting_records, tally.waiting_bytes) == (1, 30)


def test_outcomes_of_records_that_others_published_do_not_count():
    tally = Tally()
    tally.outcome(at(7), Fate.TAGGED, 1.0)
    assert tally.summary(0).tagged == 0
