"""Labelled notes as a sample: a note of train is recalled as if nobody had spoken of it."""

import pytest

from streamproc.evaluation.calibration_sample import dataset_sample
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED
from tests.evaluation.worlds import MODELS, ROWS, TAGS, WordEncoder, write_dataset


@pytest.fixture
def candidates(tmp_path):
    """How many candidates the labelled notes of a file have, when one of them rejects a tag and when none does."""

    def count(split, rejected):
        rows = {name: [dict(row) for row in of_split] for name, of_split in ROWS.items()}
        rows[split.value][0]["rejected"] = rejected
        directory = write_dataset(tmp_path / f"{split.value}-{len(rejected)}", rows, TAGS)
        cache = VectorCache(WordEncoder(), "words", tmp_path / "vectors")
        prepared = prepare(read_dataset(directory), cache)
        return len(dataset_sample(prepared, split, FITTED, MODELS, most=10, outside=False).inside.right)

    return count


def test_what_was_rejected_on_a_note_of_train_stays_among_its_candidates(candidates):
    assert candidates(Split.TRAIN, ["coffee"]) == candidates(Split.TRAIN, [])
