"""Token windows as requests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.inference.triton_windows import buckets, pack

WINDOW_TOKENS = 256


@given(st.lists(st.integers(2, WINDOW_TOKENS)), st.integers(1, 20))
def test_every_window_is_in_one_request_unchanged_beside_its_padding(
    lengths: list[int], max_rows: int
) -> None:
    windows = [np.arange(1, length + 1, dtype=np.int64)[None] * (n + 1) for n, length in enumerate(lengths)]
    batches = pack(windows, window_tokens=WINDOW_TOKENS, max_rows=max_rows)
    assert sorted(position for batch in batches for position in batch.positions) == list(range(len(windows)))
    for batch in batches:
        assert len(batch.positions) <= max_rows
        assert batch.input_ids.shape == batch.attention_mask.shape
        assert batch.input_ids.shape[1] in buckets(WINDOW_TOKENS)
        for row, position in enumerate(batch.positions):
            np.testing.assert_array_equal(
                batch.input_ids[row][batch.attention_mask[row] == 1], windows[position][0]
            )


@given(st.integers(2, WINDOW_TOKENS))
def test_a_window_takes_the_smallest_bucket_that_holds_it(length: int) -> None:
    (batch,) = pack([np.ones((1, length), dtype=np.int64)], window_tokens=WINDOW_TOKENS, max_rows=4)
    assert batch.input_ids.shape[1] == min(size for size in buckets(WINDOW_TOKENS) if size >= length)


@pytest.mark.parametrize("window_tokens", [8, 100, 256, 512])
def test_the_last_bucket_is_the_longest_window(window_tokens: int) -> None:
    lengths = buckets(window_tokens)
    assert lengths[-1] == window_tokens
    assert list(lengths) == sorted(set(lengths))
