import builtins
import re
import sys

import numpy as np
import pytest

from streamproc.errors import BundleError, UserError
from streamproc.inference.bundle import Bundle
from streamproc.inference.calibration import Adapted, Evidence, Identity, Term, apply_map
from streamproc.inference.calibration_file import with_map
from streamproc.inference.onnx import load_models
from streamproc.inference.protocols import CandidateTag, TaggingRequest
from tests.inference.conftest import FEATURES

RNG = np.random.default_rng(7)


def request(candidates):
    return TaggingRequest(
        note_text="a note",
        candidates=tuple(CandidateTag(f"t{i}", f"tag {i}", "") for i in range(candidates)),
        evidence=RNG.normal(size=(candidates, FEATURES)).astype(np.float32),
    )


REQUESTS = [request(candidates) for candidates in (3, 0, 24, 1, 32, 8)]


@pytest.fixture
async def models(bundle_path):
    loaded = load_models(Bundle.load(bundle_path), threads=2)
    yield loaded
    await loaded.close()


async def test_each_request_gets_one_number_a_candidate(models):
    logits = await models.tagger.score(REQUESTS)
    judged = await models.calibrator.judge(REQUESTS, logits)
    for results in (logits, judged):
        assert [result.shape for result in results] == [(3,), (0,), (24,), (1,), (32,), (8,)]
        assert all(result.dtype == np.float32 for result in results)
    flat = np.concatenate(judged)
    assert ((flat > 0) & (flat < 1)).all()
    assert len(np.unique(flat)) == len(flat)


async def test_a_candidate_does_not_depend_on_the_other_notes(models):
    logits = await models.tagger.score(REQUESTS)
    judged = await models.calibrator.judge(REQUESTS, logits)
    for position, one in enumerate(REQUESTS):
        [logit] = await models.tagger.score([one])
        [confidence] = await models.calibrator.judge([one], [logit])
        assert np.allclose(logit, logits[position], rtol=0, atol=1e-6)
        assert np.allclose(confidence, judged[position], rtol=0, atol=1e-6)


async def test_a_candidate_does_not_depend_on_the_other_candidates(models):
    whole = REQUESTS[2]
    [logits] = await models.tagger.score([whole])
    order = RNG.permutation(24)[:5]
    some = TaggingRequest(whole.note_text, tuple(whole.candidates[i] for i in order), whole.evidence[order])
    [fewer] = await models.tagger.score([some])
    assert np.allclose(fewer, logits[order], rtol=0, atol=1e-6)


async def test_no_requests_give_no_results(models):
    assert await models.tagger.score([]) == []
    assert await models.calibrator.judge([], []) == []


async def test_requests_without_candidates_give_empty_results(models):
    empty = [request(0), request(0)]
    logits = await models.tagger.score(empty)
    assert [result.shape for result in logits] == [(0,), (0,)]
    assert [result.shape for result in await models.calibrator.judge(empty, logits)] == [(0,), (0,)]


async def test_versions_are_the_manifests(models):
    assert models.tagger.version == "tagger-test"
    assert re.fullmatch(r"calibrator-test\+[0-9a-f]{8}", models.calibrator.version)  # the model and the map


async def test_closed_models_refuse_work(bundle_path):
    models = load_models(Bundle.load(bundle_path), threads=1)
    await models.close()
    with pytest.raises(RuntimeError):
        await models.encoder.encode(["tram"])


def test_without_onnxruntime_the_extras_are_named(bundle_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"'\.\[cpu\]'.*'\.\[gpu\]'"):
        load_models(Bundle.load(bundle_path))


async def test_an_adapted_map_hears_the_evidence_of_each_candidate(bundle_path):
    bundle = Bundle.load(bundle_path)
    features = bundle.manifest.tagger.features
    term = Term(features[0], (-1.0, 1.0), (-2.0, 2.0))
    plain = load_models(with_map(bundle, Identity()), threads=1)
    adapted = load_models(with_map(bundle, Adapted(1.5, 0.5, 0.2, (term,))), threads=1)
    asked = [request(3), request(5)]
    logits = await plain.tagger.score(asked)
    before = np.concatenate(await plain.calibrator.judge(asked, logits))
    after = np.concatenate(await adapted.calibrator.judge(asked, logits))
    evidence = Evidence(features, np.concatenate([each.evidence for each in asked]))
    expected = apply_map(Adapted(1.5, 0.5, 0.2, (term,)), before, evidence)
    assert np.allclose(after, expected, rtol=0, atol=1e-5)
    assert plain.calibrator.version != adapted.calibrator.version
    for models in (plain, adapted):
        await models.close()


async def test_a_map_that_hears_other_evidence_is_refused(bundle_path):
    term = Term("moonlight", (-1.0, 1.0), (-2.0, 2.0))
    with pytest.raises(BundleError, match="moonlight"):
        load_models(with_map(Bundle.load(bundle_path), Adapted(1.0, 1.0, 0.0, (term,))), threads=1)
