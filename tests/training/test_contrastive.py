"""Contrastive training with torch, on an encoder small enough for seconds; needs the ``train`` extra."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("transformers", reason="the extra 'train' is not installed")

import torch

from streamproc.errors import UserError
from streamproc.evaluation.dataset import read_dataset
from streamproc.training.contrastive import SentenceEncoder, divergence, fine_tune, info_nce
from streamproc.training.contrastive_batches import Targets
from streamproc.training.encoder_data import encoder_data
from streamproc.training.journal import Journal
from streamproc.training.note_set import HeldOut
from streamproc.training.recipe import Recipe
from streamproc.training.vector_teacher import Taught, VectorTeacher
from tests.training.drinks import write_drinks
from tests.training.small_encoder import WORDS, write_checkpoint

RECIPE = Recipe(epochs=2, pairs_a_batch=4, learning_rate=3e-3, save_batches=1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def data(tmp_path):
    return encoder_data([read_dataset(write_drinks(tmp_path / "drinks"))], RECIPE)


@pytest.fixture
def unmeasured(data):
    nothing = HeldOut((), np.zeros(0, dtype=np.int64), ())
    return replace(data, sets=tuple(replace(each, held_out=nothing) for each in data.sets))


def targets(positive, negative):
    return Targets(np.array(positive, dtype=np.float32), np.array(negative, dtype=bool))


def loss(cosines, *of, temperature=0.5):
    return float(info_nce(torch.tensor(cosines), targets(*of), temperature))


def test_the_loss_is_that_of_a_softmax_over_the_positive_and_the_negatives():
    scores = np.exp(np.array([0.8, 0.2, -0.4]) / 0.5)
    found = loss([[0.8, 0.2, -0.4]], [[1, 0, 0]], [[0, 1, 1]])
    assert found == pytest.approx(-np.log(scores[0] / scores.sum()), rel=1e-5)


def test_what_is_masked_changes_nothing():
    first = loss([[0.8, 0.2, 0.9]], [[1, 0, 0]], [[0, 1, 0]])
    assert first == loss([[0.8, 0.2, -0.9]], [[1, 0, 0]], [[0, 1, 0]])


def test_positives_of_a_row_are_no_negatives_of_each_other():
    found = loss([[0.8, 0.6, 0.1]], [[0.75, 0.25, 0]], [[0, 0, 1]])
    alone = [loss([[cosine, 0.1]], [[1, 0]], [[0, 1]]) for cosine in (0.8, 0.6)]
    assert found == pytest.approx(0.75 * alone[0] + 0.25 * alone[1], rel=1e-5)


def test_rows_without_a_positive_do_not_count_and_rows_without_a_negative_cost_nothing():
    row = loss([[0.8, 0.2]], [[1, 0]], [[0, 1]])
    assert loss([[0.8, 0.2], [0.5, 0.5]], [[1, 0], [0, 0]], [[0, 1], [1, 1]]) == pytest.approx(row)
    assert loss([[0.8, 0.2]], [[1, 0]], [[0, 0]]) == 0
    assert loss([[0.8, 0.2]], [[0, 0]], [[1, 1]]) == 0


def test_a_vector_does_not_depend_on_its_batch_mates(checkpoint):
    encoder = SentenceEncoder(checkpoint, 16)
    alone = encoder.encode(["hot tea"])
    together = encoder.encode(["a cup of hot coffee and a pot of green tea", "hot tea"])[1:]
    np.testing.assert_allclose(alone, together, atol=0.02)  # bf16
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)


def test_texts_of_any_length_come_back_in_the_order_in_which_they_were_asked_for(checkpoint):
    encoder = SentenceEncoder(checkpoint, 16)
    texts = [" ".join(WORDS[4 + number % 12 :][: 1 + number * 7 % 12]) for number in range(75)]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=0.02)  # bf16
    assert np.abs(alone - alone[::-1]).max() > 0.1


def test_a_text_is_read_up_to_the_limit(checkpoint):
    encoder = SentenceEncoder(checkpoint, 4)
    assert encoder.tokenize(["hot tea with milk", "tea"]) == [[2, 12, 4, 3], [2, 4, 3]]


def test_training_brings_related_notes_together_and_leaves_word_embeddings_alone(checkpoint, data, tmp_path):
    encoder = SentenceEncoder(checkpoint, 16)
    words = encoder.model.get_input_embeddings().weight.detach().clone()
    run = fine_tune(encoder, data, RECIPE, Journal(tmp_path / "run"))
    assert len(run.epochs) == 3
    assert max(each.recall for each in run.epochs[1:]) > run.epochs[0].recall
    tea, coffee = encoder.encode(["a tea", "the tea"]), encoder.encode(["a coffee", "the coffee"])
    assert (tea @ tea.T).min() > (tea @ coffee.T).max()
    assert torch.equal(encoder.model.get_input_embeddings().weight, words)


def test_tags_are_drawn_to_their_notes_only_where_alpha_says_so(checkpoint, unmeasured, tmp_path):
    def own_tag_is_nearer(alpha):
        encoder = SentenceEncoder(checkpoint, 16)
        recipe = msgspec.structs.replace(RECIPE, alpha=alpha, epochs=8)
        fine_tune(encoder, unmeasured, recipe, Journal(tmp_path / f"run-{alpha}"))
        notes, tags = encoder.encode(["the hot tea", "the hot coffee"]), encoder.encode(["pot", "cup"])
        return np.diag(notes @ tags.T).mean() - np.diag(notes @ tags[::-1].T).mean()

    assert own_tag_is_nearer(1.0) > 0.25
    assert own_tag_is_nearer(0.0) < 0.1


def test_the_divergence_is_that_of_the_teachers_distribution_from_the_students():
    student, teacher = (
        np.array([[0.8, 0.2, -0.4], [0.1, 0.1, 0.1]]),
        np.array([[0.5, 0.6, 0.0], [0.1, 0.1, 0.1]]),
    )
    p, q = (np.exp(each / 0.5) / np.exp(each / 0.5).sum(axis=1, keepdims=True) for each in (teacher, student))
    found = float(divergence(torch.tensor(student), torch.tensor(teacher), 0.5))
    assert found == pytest.approx((p * np.log(p / q)).sum(axis=1).mean(), rel=1e-5)
    assert float(divergence(torch.tensor(teacher), torch.tensor(teacher), 0.5)) == pytest.approx(0, abs=1e-7)


def temperatures(data):
    """A teacher of two dimensions, for whom hot notes are alike and cold ones are, whatever they are about."""
    of_notes = [[[1, 0] if "hot" in text else [0, 1] for text in each.texts] for each in data.sets]
    taught = [
        Taught(np.array(notes, dtype=np.float32), np.eye(2, dtype=np.float32)[[0] * len(each.tag_texts)])
        for notes, each in zip(of_notes, data.sets, strict=True)
    ]
    return replace(data, teacher=VectorTeacher("thermometer-1", "f" * 64, tuple(taught)))


def test_a_student_learns_from_its_teacher_what_no_label_says(checkpoint, unmeasured, tmp_path):
    def heat_counts_more(data, beta):
        encoder = SentenceEncoder(checkpoint, 16)
        recipe = msgspec.structs.replace(RECIPE, alpha=0.0, beta=beta, epochs=8)
        fine_tune(encoder, data, recipe, Journal(tmp_path / f"run-{beta}-{data.teacher is None}"))
        note, as_hot, as_sweet = encoder.encode(["the hot tea", "the hot coffee", "the cold tea"])
        return note @ as_hot - note @ as_sweet

    alone = heat_counts_more(unmeasured, 10.0)
    assert heat_counts_more(temperatures(unmeasured), 0.0) == alone
    assert heat_counts_more(temperatures(unmeasured), 10.0) > alone + 0.3


def test_a_run_is_not_gone_on_with_by_another_teacher(checkpoint, data, tmp_path):
    def interrupt(_what, done, _all):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(
            SentenceEncoder(checkpoint, 16),
            temperatures(data),
            RECIPE,
            Journal(tmp_path / "run"),
            progress=interrupt,
        )
    with pytest.raises(UserError, match="other data or settings"):
        fine_tune(SentenceEncoder(checkpoint, 16), data, RECIPE, Journal(tmp_path / "run"))


def test_where_valid_cannot_tell_the_last_epoch_is_kept(checkpoint, unmeasured, tmp_path):
    run = fine_tune(SentenceEncoder(checkpoint, 16), unmeasured, RECIPE, Journal(tmp_path / "run"))
    assert [each.recall for each in run.epochs] == [None] * 3
    assert run.best == "best-3-0.pt"


def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(checkpoint, data, tmp_path):
    whole, broken = SentenceEncoder(checkpoint, 16), SentenceEncoder(checkpoint, 16)
    expected = fine_tune(whole, data, RECIPE, Journal(tmp_path / "whole"))

    def interrupt(what, done, _all):
        if what == "epoch 2" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(broken, data, RECIPE, Journal(tmp_path / "broken"), progress=interrupt)
    again, said = SentenceEncoder(checkpoint, 16), []
    found = fine_tune(again, data, RECIPE, Journal(tmp_path / "broken"), say=said.append)
    assert said[0] == "going on after 1 batches of epoch 2"
    assert found == expected
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)
