"""Taggers that read the text: what they read, in process and behind Triton."""

from pathlib import Path

import numpy as np
import pytest

from streamproc.config import Settings
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.marker_tokens import MarkerTokenizer
from streamproc.inference.model_repository import MAX_NOTES, Profile, write_repository
from streamproc.inference.onnx import load_models
from streamproc.inference.protocols import CandidateTag, TaggingRequest
from streamproc.inference.triton import load_triton_models
from tests.inference.marker_model import (
    CANDIDATE_TOKENS,
    NOTE_TOKENS,
    expected_logits,
    with_marker_tagger,
)
from tests.inference.sentences import SENTENCES
from tests.servers.triton import TritonServer

CLS, SEP, MARKER, PADDING = 101, 102, 103, 0
DEFINED = CandidateTag("t1", "Trams", "Rail vehicles that run on city streets")
NAMED = CandidateTag("t2", "Cooking", "")


@pytest.fixture
def marker_bundle(bundle_path: Path) -> Bundle:
    return with_marker_tagger(bundle_path)


@pytest.fixture(scope="module")
def tokenizer() -> MarkerTokenizer:
    shipped = Bundle.load(default_bundle_path())
    file = shipped.file(shipped.manifest.encoder.tokenizer)
    return MarkerTokenizer(file, note_tokens=NOTE_TOKENS, candidate_tokens=CANDIDATE_TOKENS)


def requests_of(bundle: Bundle, sizes: list[int]) -> list[TaggingRequest]:
    generator = np.random.default_rng(4)
    features = len(bundle.manifest.tagger.features)
    return [
        TaggingRequest(
            note_text=" ".join(SENTENCES[: number % 4]),
            candidates=tuple(
                CandidateTag(str(place), f"tag {place}", "what it means " * (place % 3))
                for place in range(size)
            ),
            evidence=generator.normal(size=(size, features)).astype(np.float32),
        )
        for number, size in enumerate(sizes)
    ]


def test_a_note_begins_and_ends_with_its_special_tokens_and_keeps_to_its_budget(tokenizer):
    short, long = tokenizer.note("a tram"), tokenizer.note("tram " * 500)
    assert short[0, 0] == CLS
    assert short[0, -1] == SEP
    assert long.shape == (1, NOTE_TOKENS)
    np.testing.assert_array_equal(short[0, 1:-1], tokenizer.note("a tram rides")[0, 1 : short.shape[1] - 1])
    assert tokenizer.note("").tolist() == [[CLS, SEP]]


def test_a_candidate_begins_with_its_marker_and_says_what_the_tag_means(tokenizer):
    table = tokenizer.candidates([DEFINED, NAMED])
    assert table.shape == (1, 2, CANDIDATE_TOKENS)
    assert (table[0, :, 0] == MARKER).all()
    named = tokenizer.candidates([NAMED])
    assert (table[0, 1, : named.shape[2]] == named[0, 0]).all()
    assert (table[0, 1, named.shape[2] :] == PADDING).all()
    without = tokenizer.candidates([CandidateTag("t1", "Trams", "")])
    assert without.shape[2] < CANDIDATE_TOKENS
    np.testing.assert_array_equal(table[0, 0, : without.shape[2]], without[0, 0])


async def test_logits_come_from_note_tags_and_evidence(marker_bundle, tokenizer):
    models = load_models(marker_bundle, threads=2)
    requests = requests_of(marker_bundle, [5, 0, 24, 1])
    logits = await models.tagger.score(requests)
    await models.close()
    assert [len(each) for each in logits] == [5, 0, 24, 1]
    for request, found in zip(requests, logits, strict=True):
        if request.candidates:
            note, tags = tokenizer.note(request.note_text), tokenizer.candidates(request.candidates)
            np.testing.assert_allclose(found, expected_logits(note, tags[0], request.evidence), atol=1e-4)


async def test_triton_gives_the_logits_of_the_in_process_backend(
    marker_bundle, tmp_path, triton_server: TritonServer
):
    del triton_server  # its installation is what is needed
    write_repository(marker_bundle, tmp_path / "models", Profile.CPU)
    # Several requests of a bucket, notes without candidates, more candidates than a request holds.
    requests = requests_of(marker_bundle, [24, 0, 1, 40, *[7] * (4 * MAX_NOTES + 3)])
    in_process = load_models(marker_bundle, threads=1)
    expected = await in_process.tagger.score(requests)
    await in_process.close()
    with TritonServer(tmp_path / "models") as server:
        triton = load_triton_models(Settings(triton_url=server.url), marker_bundle)
        found = await triton.tagger.score(requests)
        await triton.close()
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert np.std(np.concatenate(found)) > 0.1


def test_the_gpu_profile_has_room_for_every_shape_that_is_served(marker_bundle, tmp_path):
    write_repository(marker_bundle, tmp_path, Profile.GPU)
    config = (tmp_path / "tagger/config.pbtxt").read_text()
    assert f"note_ids:32x{NOTE_TOKENS},candidate_ids:32x32x{CANDIDATE_TOKENS},evidence:32x32x7" in config
    assert "reshape" not in config
    assert (tmp_path / "tagger/1/model.onnx").is_file()
