import os
import subprocess
import sys

import pytest

from streamproc.evaluation.metrics import accuracy_at, coverage_at, macro_f1, tally

GOLD = [{"a", "b"}, {"c"}]


def test_accuracy_counts_what_was_emitted_and_leaves_out_silent_notes():
    emitted = [["a"], []]
    assert accuracy_at(emitted, GOLD, 3).tolist() == [1]
    assert (coverage_at(emitted, 1), coverage_at(emitted, 2)) == (0.5, 0)


def test_micro_scores_count_tags_over_all_notes():
    told = tally([["a", "x"], ["c"]], GOLD)
    assert (told.emitted, told.right, told.gold) == (3, 2, 3)
    assert (told.precision, told.recall, told.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


def test_nothing_emitted_and_nothing_right_are_no_error():
    silent = tally([[], []], GOLD)
    assert (silent.precision, silent.recall, silent.f1) == (0, 0, 0)
    assert tally([], []).f1 == 0


def test_macro_f1_gives_every_tag_one_voice():
    # a: 1, b: 0 (never emitted), c: 1, x: 0 (never right)
    assert macro_f1([["a", "x"], ["c"]], GOLD) == pytest.approx(0.5)
    assert macro_f1([], []) == 0


def test_macro_f1_is_the_same_to_the_last_digit_in_every_run():
    """Python orders sets of strings by a seed that is another one in every run."""
    told = (
        "from streamproc.evaluation.metrics import macro_f1\n"
        "tags = [f'tag {n}' for n in range(300)]\n"
        "print(repr(macro_f1([tags[: 7 * n] for n in range(40)], [set(tags[n::11]) for n in range(40)])))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", told],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        ).stdout
        for seed in "123456"
    }
    assert len(runs) == 1
