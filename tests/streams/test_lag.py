from aiokafka import TopicPartition

from streamproc.streams.lag import Standing, Standstill, standings

ONE, TWO = TopicPartition("notes.new", 0), TopicPartition("notes.new", 1)


def test_the_lag_is_what_lies_between_the_commit_and_the_end():
    assert standings({ONE: 0, TWO: 0}, {ONE: 100, TWO: 7}, {ONE: 60, TWO: 7}) == {
        ONE: Standing(60, 40),
        TWO: Standing(7, 0),
    }


def test_without_a_commit_reading_starts_at_the_begin():
    assert standings({ONE: 20}, {ONE: 100}, {}) == {ONE: Standing(20, 80)}


def test_records_that_retention_took_away_are_nobodys_lag():
    assert standings({ONE: 90}, {ONE: 100}, {ONE: 60}) == {ONE: Standing(90, 10)}


def test_an_end_asked_for_before_a_commit_gives_no_negative_lag():
    assert standings({ONE: 0}, {ONE: 100}, {ONE: 101}) == {ONE: Standing(101, 0)}


def observed(*measurements):
    standstill = Standstill()
    for now, seen in measurements:
        standstill.observe(now, seen)
    return standstill


def test_a_commit_that_stands_still_before_records_is_timed():
    standstill = observed((0, {ONE: Standing(5, 10)}), (10, {ONE: Standing(5, 30)}))
    assert standstill.seconds(25) == 25


def test_a_commit_that_moves_begins_anew():
    standstill = observed((0, {ONE: Standing(5, 10)}), (10, {ONE: Standing(6, 9)}))
    assert standstill.seconds(25) == 15


def test_a_partition_read_to_its_end_does_not_stand_still():
    assert observed((0, {ONE: Standing(5, 10)}), (10, {ONE: Standing(15, 0)})).seconds(99) == 0


def test_what_another_worker_reads_is_not_timed_here():
    assert observed((0, {ONE: Standing(5, 10)}), (10, {})).seconds(99) == 0


def test_the_longest_standstill_counts():
    standstill = observed((0, {ONE: Standing(5, 10)}), (10, {ONE: Standing(5, 10), TWO: Standing(0, 1)}))
    assert standstill.seconds(30) == 30


def test_an_intake_held_back_on_purpose_is_no_standstill():
    standstill = observed((0, {ONE: Standing(5, 10)}))
    standstill.forget()
    standstill.observe(20, {ONE: Standing(5, 10)})
    assert standstill.seconds(25) == 5
