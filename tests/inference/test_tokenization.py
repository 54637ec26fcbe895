import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, processors

from streamproc.errors import BundleError
from streamproc.inference.bundle import default_bundle_path
from streamproc.inference.tokenization import WindowTokenizer

FILE = default_bundle_path() / "encoder" / "tokenizer.json"
WHOLE = Tokenizer.from_file(str(FILE))
SMALL = WindowTokenizer(FILE, window_tokens=8, max_windows=3)
FULL = WindowTokenizer(FILE, window_tokens=256, max_windows=4)


def content(tokenized):
    return [number for window in tokenized.windows for number in window[0, 1:-1]]


PIECES = st.sampled_from(
    ["tram", "a", " ", "  \n", "…", "漢字", "🚋", "é", "unbelievably", "x" * 120, "y" * 40, "-", "42", "́"]
)


@given(st.lists(PIECES, max_size=120).map("".join))
def test_windows_hold_the_first_tokens_of_the_whole_text(text):
    expected = WHOLE.encode(text, add_special_tokens=False).ids
    tokenized = SMALL.tokenize(text)
    assert content(tokenized) == expected[:18]
    assert tokenized.truncated == (len(expected) > 18)


@given(st.integers(0, 40))
def test_windows_are_within_their_limits_and_of_equal_length(words):
    tokenized = SMALL.tokenize("tram " * words)
    lengths = [window.shape[1] for window in tokenized.windows]
    assert 1 <= len(lengths) <= 3
    assert max(lengths) <= 8
    assert max(lengths) - min(lengths) <= len(lengths)
    for window in tokenized.windows:
        assert window.shape[0] == 1
        assert window.dtype == np.int64
        assert (window[0, 0], window[0, -1]) == (101, 102)


def test_a_short_text_is_tokenized_as_the_model_was_trained():
    text = "The council approved the new tram line."
    assert FULL.tokenize(text).windows[0][0].tolist() == WHOLE.encode(text).ids


def test_an_empty_text_is_one_window_of_special_tokens():
    tokenized = FULL.tokenize("")
    assert [window.tolist() for window in tokenized.windows] == [[[101, 102]]]
    assert not tokenized.truncated


@pytest.mark.parametrize(
    ("text", "truncated"),
    [
        ("tram line " * 100_000, True),
        ("漢" * 1_000_000, True),
        ("a" * 1_000_000, False),
        (" " * 1_000_000 + "tram", False),
        (" " * 1_000_000 + "tram " * 1016, False),
        (" " * 1_000_000 + "tram " * 1017, True),
    ],
    ids=["words", "ideographs", "one word", "blanks", "blanks, then just full", "blanks, then one too many"],
)
def test_a_megabyte_takes_a_moment_and_is_flagged_rightly(text, truncated):
    started = time.process_time()
    tokenized = FULL.tokenize(text)
    assert time.process_time() - started < 3
    assert tokenized.truncated is truncated


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match="is not a tokenizer"):
        WindowTokenizer(tmp_path / "tokenizer.json", window_tokens=8, max_windows=1)


def test_what_stands_around_a_text_is_what_the_tokenizer_puts_there(tmp_path):
    tokenizer = Tokenizer.from_file(str(FILE))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[MASK] $A [SEP] [SEP]", special_tokens=[("[MASK]", 103), ("[SEP]", 102)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    other = WindowTokenizer(tmp_path / "tokenizer.json", window_tokens=6, max_windows=2)
    windows = [window[0].tolist() for window in other.tokenize("tram tram tram tram").windows]
    assert windows == [[103, 12517, 12517, 102, 102]] * 2


def test_a_tokenizer_that_puts_nothing_around_a_text_is_refused(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, "[UNK]"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BundleError, match="puts no special tokens around a text"):
        WindowTokenizer(tmp_path / "tokenizer.json", window_tokens=8, max_windows=1)
