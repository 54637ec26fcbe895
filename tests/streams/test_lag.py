from aiokafka import TopicPartition

from streamproc.streams.lag import committed_lag

ONE, TWO = TopicPartition("notes.new", 0), TopicPartition("notes.new", 1)


def test_the_lag_is_what_lies_between_the_commit_and_the_end():
    assert committed_lag({ONE: 0, TWO: 0}, {ONE: 100, TWO: 7}, {ONE: 60, TWO: 7}) == {ONE: 40, TWO: 0}


def test_without_a_commit_reading_starts_at_the_begin():
    assert committed_lag({ONE: 20}, {ONE: 100}, {}) == {ONE: 80}


def test_records_that_retention_took_away_are_nobodys_lag():
    assert committed_lag({ONE: 90}, {ONE: 100}, {ONE: 60}) == {ONE: 10}


def test_an_end_asked_for_before_a_commit_gives_no_negative_lag():
    assert committed_lag({ONE: 0}, {ONE: 100}, {ONE: 101}) == {ONE: 0}
