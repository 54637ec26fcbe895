"""CloudEvents headers and the source position."""

import pytest

from streamproc.errors import HeaderError
from streamproc.events.headers import output_headers, source_position
from streamproc.events.position import Source, SourcePosition

SOURCE = Source(SourcePosition("eu/notes.new", 3, 41), 1_700_000_000_123)


def test_the_same_output_always_has_the_same_headers():
    assert output_headers("notes.tagged", SOURCE) == output_headers("notes.tagged", SOURCE)


def test_outputs_of_one_record_differ_in_their_id():
    first = dict(output_headers("graph.edges", SOURCE, "a"))
    second = dict(output_headers("graph.edges", SOURCE, "b"))
    assert first["ce_id"] != second["ce_id"]
    assert first["ce_sourceposition"] == second["ce_sourceposition"]


def test_the_time_is_that_of_the_source_record():
    assert dict(output_headers("notes.tagged", SOURCE))["ce_time"] == b"2023-11-14T22:13:20.123Z"


def test_the_source_position_is_read_back():
    assert source_position(output_headers("notes.tagged", SOURCE)) == SOURCE.position


def test_a_record_of_others_has_no_source_position():
    assert source_position([("ce_id", b"1")]) is None


def test_a_broken_source_position_is_an_error():
    with pytest.raises(HeaderError):
        source_position([("ce_sourceposition", b"somewhere")])
