import msgspec
import pytest

from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.seen import fitted_to, models_learned_from
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.manifest import Training, TrainingSet
from tests.evaluation.worlds import write_dataset

MANIFEST = Bundle.load(default_bundle_path()).manifest


@pytest.fixture
def drinks(tmp_path):
    return read_dataset(write_dataset(tmp_path / "drinks"))


def changed(part, **changes):
    """The shipped manifest with another tagger, calibrator, recall or encoder."""
    other = msgspec.structs.replace(getattr(MANIFEST, part), **changes)
    return msgspec.structs.replace(MANIFEST, **{part: other})


def a_set(name, digest):
    return TrainingSet(name, "", "", {"train.jsonl": digest, "valid.jsonl": "1", "tags.jsonl": "2"})


def test_a_set_that_nothing_names_was_never_seen(drinks):
    assert not models_learned_from(drinks, MANIFEST)
    assert not fitted_to(drinks, MANIFEST)


@pytest.mark.parametrize(
    "manifest",
    [
        changed("tagger", training_data=("drinks",)),
        changed("encoder", training=(a_set("drinks", "0"),)),
    ],
)
def test_a_set_whose_name_tagger_or_encoder_bear_was_learned_from(drinks, manifest):
    assert models_learned_from(drinks, manifest)


@pytest.mark.parametrize("split", list(Split))
def test_the_bytes_that_models_learned_from_are_known_under_any_name(drinks, split):
    renamed = a_set("elsewhere", drinks.digests[split])
    of_tagger = msgspec.structs.replace(MANIFEST, training=Training((renamed,), 10, 0))
    assert models_learned_from(drinks, of_tagger)
    assert models_learned_from(drinks, changed("encoder", training=(renamed,)))


@pytest.mark.parametrize(
    "manifest",
    [changed("calibrator", training_data=("drinks",)), changed("recall", fitted_on=("drinks",))],
)
def test_a_map_or_recall_fitted_to_a_set_is_no_training(drinks, manifest):
    assert fitted_to(drinks, manifest)
    assert not models_learned_from(drinks, manifest)
