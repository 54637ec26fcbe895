"""The trained networks against the files they become; needs the ``train`` extra."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from onnxruntime import InferenceSession

from streamproc.inference.protocols import CandidateTag
from streamproc.training.evidence_models import write_calibrator, write_tagger
from streamproc.training.perceptron import fit_calibrator, fit_tagger, logits, mean_of
from streamproc.training.rows import Rows


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    evidence = random.normal(size=(2000, 5)).astype(np.float32)
    evidence[:, 4] = 7.0
    right = (evidence[:, 0] + random.normal(size=2000) * 0.3 > 0).astype(np.float32)
    note = np.repeat(np.arange(200), 10)
    tags = tuple(CandidateTag(f"t{number % 10}", f"tag {number % 10}", "") for number in range(2000))
    texts = tuple(f"note {number}" for number in range(200))
    return Rows(evidence, right, note, tags, texts, texts)


def test_the_tagger_learns_and_its_file_gives_the_same_logits(rows, tmp_path):
    network = fit_tagger(rows, epochs=60)
    write_tagger(network, tmp_path / "tagger.onnx")
    expected = logits(network, rows.evidence)[:, 0]
    found = InferenceSession(str(tmp_path / "tagger.onnx")).run(["logit"], {"evidence": rows.evidence})[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert ((found > 0) == (rows.right > 0)).mean() > 0.85


def test_an_input_that_never_varied_says_nothing(rows):
    network = fit_tagger(rows, epochs=1)
    changed = rows.evidence.copy()
    changed[:, 4] = -100
    np.testing.assert_array_equal(logits(network, changed), logits(network, rows.evidence))


def test_the_calibrators_file_has_a_yes_and_a_no(rows, tmp_path):
    network = fit_calibrator(rows, rows.evidence[:, 0], epochs=60)
    write_calibrator(network, tmp_path / "calibrator.onnx")
    features = np.concatenate([rows.evidence, rows.evidence[:, :1]], axis=1)
    found = InferenceSession(str(tmp_path / "calibrator.onnx")).run(["logits"], {"features": features})[0]
    assert found.shape == (2000, 2)
    assert ((found[:, 0] > found[:, 1]) == (rows.right > 0)).mean() > 0.85


def test_the_calibrator_starts_as_the_tagger(rows):
    given = (3 * rows.evidence[:, 1] - 2).astype(np.float32)
    yes, no = logits(
        fit_calibrator(rows, given, networks=2, epochs=1), np.column_stack([rows.evidence, given])
    ).T
    assert np.corrcoef(yes - no, given)[0, 1] > 0.95
    assert abs((yes - no).mean() - given.mean()) < 0.5


def test_networks_side_by_side_give_the_mean_of_what_they_give_alone(rows):
    networks = [fit_tagger(rows, epochs=1, seed=seed) for seed in range(3)]
    alone = np.mean([logits(each, rows.evidence) for each in networks], axis=0)
    np.testing.assert_allclose(logits(mean_of(networks), rows.evidence), alone, atol=1e-5)


def test_more_networks_are_asked_as_one(rows):
    one, three = (fit_tagger(rows, networks=networks, epochs=1) for networks in (1, 3))
    assert [len(biases) for _, biases in three.layers] == [
        *(3 * len(biases) for _, biases in one.layers[:-1]),
        1,
    ]
    calibrator = fit_calibrator(rows, rows.evidence[:, 0], networks=2, epochs=1)
    assert [len(biases) for _, biases in calibrator.layers][-1] == 2


def test_the_same_seed_gives_the_same_network_and_another_seed_another(rows):
    one, again, other = (logits(fit_tagger(rows, epochs=1, seed=seed), rows.evidence) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
