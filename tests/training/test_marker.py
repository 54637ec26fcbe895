"""The label-marker encoder: what its scores may depend on, what it learns, what it becomes; needs the ``train`` extra."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("onnx", reason="the extra 'train' is not installed")

import torch
from onnxruntime import InferenceSession

from streamproc.errors import UserError
from streamproc.graph.evidence import FEATURES
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.marker_tokens import MarkerTokenizer
from streamproc.inference.protocols import CandidateTag
from streamproc.training import marker_fit
from streamproc.training.checkpoint import read_checkpoint
from streamproc.training.marker import MarkerConfig, MarkerModel
from streamproc.training.marker_export import export_marker, quantize_marker
from streamproc.training.marker_fit import fit_marker, marker_logits
from streamproc.training.marker_training import MarkerTraining
from streamproc.training.perceptron import Network
from streamproc.training.rows import Rows

WIDTH = 48
TOPICS = ("rivers", "bread", "chess", "trams")
WORDS = {
    "rivers": "water flows to the sea",
    "bread": "flour and yeast in the oven",
    "chess": "queen takes the rook",
}
WORDS["trams"] = "rails run through the street"


def network(outputs: int = 1) -> Network:
    """A network over evidence that knows nothing: its logits are 0."""
    random = np.random.default_rng(1)
    sizes = ((8, len(FEATURES)), (6, 8), (outputs, 6))
    layers = tuple(
        (random.normal(size=size).astype(np.float32) * (place < 2), np.zeros(size[0], dtype=np.float32))
        for place, size in enumerate(sizes)
    )
    return Network(
        np.zeros(len(FEATURES), dtype=np.float32), np.ones(len(FEATURES), dtype=np.float32), layers
    )


def small_checkpoint(layers: int = 2) -> dict:
    """Random weights under the names of a BERT checkpoint."""
    generator = torch.Generator().manual_seed(3)

    def weights(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.2

    tensors = {
        "embeddings.word_embeddings.weight": weights(30522, WIDTH),
        "embeddings.position_embeddings.weight": weights(64, WIDTH),
        "embeddings.token_type_embeddings.weight": weights(2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for number in range(layers):
        stem = f"encoder.layer.{number}"
        for name, size in {
            "attention.self.query": (WIDTH, WIDTH),
            "attention.self.key": (WIDTH, WIDTH),
            "attention.self.value": (WIDTH, WIDTH),
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (2 * WIDTH, WIDTH),
            "output.dense": (WIDTH, 2 * WIDTH),
        }.items():
            tensors[f"{stem}.{name}.weight"] = weights(*size)
            tensors[f"{stem}.{name}.bias"] = torch.zeros(size[0])
        norms += [f"{stem}.attention.output.LayerNorm", f"{stem}.output.LayerNorm"]
    for norm in norms:
        tensors[f"{norm}.weight"] = torch.ones(WIDTH)
        tensors[f"{norm}.bias"] = torch.zeros(WIDTH)
    return tensors


@pytest.fixture(scope="module")
def tokenizer() -> MarkerTokenizer:
    bundle = Bundle.load(default_bundle_path())
    return MarkerTokenizer(bundle.file(bundle.manifest.encoder.tokenizer), note_tokens=32, candidate_tokens=8)


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Notes whose words, and nothing else, say which of four tags is right."""
    random = np.random.default_rng(0)
    of_note = random.integers(len(TOPICS), size=160)
    tags = tuple(CandidateTag(name, name, WORDS[name]) for name in TOPICS)
    return Rows(
        evidence=random.normal(size=(len(of_note) * 4, len(FEATURES))).astype(np.float32),
        right=np.array([topic == place for topic in of_note for place in range(4)], dtype=np.float32),
        note=np.repeat(np.arange(len(of_note)), 4),
        tags=tags * len(of_note),
        texts=tuple(f"{WORDS[TOPICS[topic]]} number {number}" for number, topic in enumerate(of_note)),
        note_ids=tuple(str(number) for number in range(len(of_note))),
    )


@pytest.fixture(scope="module")
def model() -> MarkerModel:
    torch.manual_seed(0)
    made = MarkerModel(MarkerConfig(len(FEATURES), layers=2), small_checkpoint(), network())
    torch.nn.init.normal_(made.correction.weight)
    return made.eval()


def scored(model, note, candidates, evidence):
    with torch.no_grad():
        return model(*map(torch.from_numpy, (note, candidates, evidence))).numpy()


def inputs(candidates=6, tokens=7):
    random = np.random.default_rng(2)
    return (
        random.integers(1000, 20_000, size=(1, 20)),
        random.integers(1000, 20_000, size=(1, candidates, tokens)),
        random.normal(size=(1, candidates, len(FEATURES))).astype(np.float32),
    )


def test_a_score_depends_neither_on_the_order_nor_on_the_company_of_other_candidates(model):
    note, candidates, evidence = inputs()
    together = scored(model, note, candidates, evidence)
    order = np.array([4, 0, 5, 2, 1, 3])
    np.testing.assert_allclose(
        scored(model, note, candidates[:, order], evidence[:, order]), together[:, order], atol=1e-4
    )
    for place in range(6):
        one = slice(place, place + 1)
        np.testing.assert_allclose(
            scored(model, note, candidates[:, one], evidence[:, one]), together[:, one], atol=1e-4
        )


def test_padding_changes_nothing(model):
    note, candidates, evidence = inputs()
    padded = scored(
        model,
        np.pad(note, ((0, 0), (0, 9))),
        np.pad(candidates, ((0, 0), (0, 2), (0, 3))),
        np.pad(evidence, ((0, 0), (0, 2), (0, 0))),
    )
    np.testing.assert_allclose(padded[:, :6], scored(model, note, candidates, evidence), atol=1e-4)


def test_note_and_candidate_are_both_read(model):
    note, candidates, evidence = inputs()
    before = scored(model, note, candidates, evidence)
    assert np.abs(scored(model, note + 1, candidates, evidence) - before).min() > 1e-4
    changed = candidates.copy()
    changed[0, 2] += 1
    after = scored(model, note, changed, evidence)
    assert abs(after[0, 2] - before[0, 2]) > 1e-4
    np.testing.assert_allclose(np.delete(after, 2), np.delete(before, 2), atol=1e-4)


TRAINING = MarkerTraining(
    epochs=6, batch_notes=8, candidates=4, text_rate=2e-3, head_rate=1e-2, names_only=0.2
)


def started(
    tokenizer, rows, state_file: Path, training=TRAINING, *, checkpoint=None, progress=lambda _line: None
):
    config = MarkerConfig(len(FEATURES), layers=2, dropout=0.0)
    start = (config, checkpoint or small_checkpoint(), network())
    return fit_marker(rows, start, tokenizer, training, state_file=state_file, progress=progress)


def test_it_learns_what_only_the_text_says(tokenizer, rows, tmp_path):
    learnt = started(tokenizer, rows, tmp_path / "state.pt")
    logits = marker_logits(learnt, rows, tokenizer).reshape(-1, 4)
    assert (logits.argmax(axis=1) == rows.right.reshape(-1, 4).argmax(axis=1)).mean() > 0.95
    assert not (tmp_path / "state.pt").exists()


@pytest.fixture
def interrupted(tokenizer, rows, tmp_path, monkeypatch) -> Path:
    """The state of a run of two epochs that ended after 25 of its 40 steps and was last kept after 20."""
    monkeypatch.setattr(marker_fit, "_CHECKPOINT_STEPS", 10)
    monkeypatch.setattr(marker_fit, "_REPORT_STEPS", 25)

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt(line)

    file = tmp_path / "part.pt"
    with pytest.raises(KeyboardInterrupt):
        started(tokenizer, rows, file, replace(TRAINING, epochs=2), progress=interrupt)
    assert file.exists()
    return file


def test_an_interrupted_run_goes_on_to_the_same_model(tokenizer, rows, interrupted, tmp_path, monkeypatch):
    training, step, steps = replace(TRAINING, epochs=2), marker_fit._step, []
    whole = started(tokenizer, rows, tmp_path / "whole.pt", training)
    monkeypatch.setattr(marker_fit, "_step", lambda *how: steps.append(how) or step(*how))
    resumed = started(tokenizer, rows, interrupted, training)
    assert len(steps) == 20
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, msg=name)


@pytest.mark.parametrize("other", ["numbers", "truth", "texts", "evidence", "checkpoint"])
def test_an_interrupted_run_is_not_gone_on_with_by_another(tokenizer, rows, interrupted, other):
    training, checkpoint = replace(TRAINING, epochs=2), small_checkpoint()
    match other:
        case "numbers":
            training = replace(training, seed=1)
        case "truth":  # as a teacher softens it
            rows = replace(rows, right=0.9 * rows.right)
        case "texts":
            rows = replace(rows, texts=tuple(reversed(rows.texts)))
        case "evidence":
            rows = replace(rows, evidence=rows.evidence + 1)
        case _:
            checkpoint["embeddings.LayerNorm.bias"] += 1
    before = interrupted.read_bytes()
    with pytest.raises(UserError, match=rf"{interrupted} holds an unfinished run with other data"):
        started(tokenizer, rows, interrupted, training, checkpoint=checkpoint)
    assert interrupted.read_bytes() == before


def test_the_files_agree_with_the_network_and_share_the_encoders_words(tokenizer, tmp_path):
    shipped = Bundle.load(default_bundle_path())
    encoder = tmp_path / shipped.manifest.encoder.file
    encoder.parent.mkdir(parents=True)
    encoder.write_bytes(shipped.file(shipped.manifest.encoder.file).read_bytes())
    torch.manual_seed(1)
    model = MarkerModel(MarkerConfig(len(FEATURES), layers=3), read_checkpoint(), network()).eval()
    torch.nn.init.normal_(model.correction.weight)
    export_marker(model, tmp_path / "float.onnx", "logit")
    quantize_marker(tmp_path / "float.onnx", tmp_path / "tagger.onnx", encoder)
    assert (tmp_path / "tagger.onnx").stat().st_size < 8_000_000
    exact, served = (InferenceSession(str(tmp_path / name)) for name in ("float.onnx", "tagger.onnx"))
    for candidates, tokens in ((1, 3), (6, 7), (24, 16)):
        note, tags, evidence = inputs(candidates, tokens)
        named = {"note_ids": note, "candidate_ids": tags, "evidence": evidence}
        expected = scored(model, note, tags, evidence)
        np.testing.assert_allclose(exact.run(None, named)[0], expected, atol=1e-4)
        np.testing.assert_allclose(served.run(None, named)[0], expected, atol=0.3)
