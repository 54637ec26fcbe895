import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import DecodeError, HeaderError
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.streams.dead_letter import KEPT_BYTES, Cause, dead_letter, read_dead_letter

SOURCE = Source(SourcePosition("notes.new", 2, 41), 1_700_000_000_123)
MIB = 1024 * 1024


def written(record, error=None, max_bytes=MIB + 65_536):
    output = dead_letter(
        "notes.dead", record, Cause(error or DecodeError("not JSON"), "decode", 1), max_bytes
    )
    assert output.size <= max_bytes
    return output


def test_it_keeps_key_bytes_and_headers_and_says_where_from_and_why():
    record = InputRecord(SOURCE, b"k", b"\xff{", (("ce_time", b"nonsense"), ("trace", b"1")))
    output = written(record)
    assert (output.key, output.value) == (b"k", b"\xff{")
    letter = read_dead_letter(output.key, output.value, output.headers)
    assert letter.source == SOURCE
    assert (letter.exception, letter.message, letter.stage, letter.attempts) == (
        "DecodeError",
        "not JSON",
        "decode",
        1,
    )
    assert letter.headers == record.headers
    assert not letter.truncated
    assert dict(output.headers)["ce_sourceposition"] == b"notes.new/2/41"


def test_one_that_does_not_fit_keeps_its_beginning_and_its_hash():
    value = bytes(range(256)) * 40 * 1024
    output = written(InputRecord(SOURCE, b"k", value))
    letter = read_dead_letter(output.key, output.value, output.headers)
    assert output.value == value[:KEPT_BYTES]
    assert letter.truncated
    assert letter.sha256 == hashlib.sha256(value).hexdigest()
    assert letter.source == SOURCE


def test_huge_headers_and_keys_do_not_keep_it_from_fitting():
    record = InputRecord(SOURCE, b"k" * MIB, b"v" * MIB, (("h", b"x" * 2 * MIB),))
    letter = written(record)
    assert dict(letter.headers)["truncated"] == b"true"


def test_a_null_value_stays_null():
    assert written(InputRecord(SOURCE, b"\x00", None)).value is None


def test_neither_key_nor_value_can_be_sent_and_is_told_apart_from_an_empty_value():
    output = written(InputRecord(SOURCE, None, None))
    assert output.value == b""
    assert read_dead_letter(output.key, output.value, output.headers).value is None


def test_a_record_that_is_no_dead_letter_is_refused():
    with pytest.raises(HeaderError, match="no dead letter"):
        read_dead_letter(b"k", b"v", (("a", b"b"),))


@given(
    st.none() | st.binary(max_size=64),
    st.none() | st.binary(max_size=4096),
    st.lists(st.tuples(st.text("abc_", min_size=1, max_size=5), st.binary(max_size=9)), max_size=3),
    st.text(max_size=6000),
)
def test_whatever_the_record_it_can_be_read_again(key, value, headers, message):
    record = InputRecord(SOURCE, key, value, tuple(headers))
    output = written(record, DecodeError(message))
    letter = read_dead_letter(output.key, output.value, output.headers)
    assert (letter.key, letter.value, letter.headers) == (record.key, record.value, record.headers)
    assert letter.source == SOURCE
