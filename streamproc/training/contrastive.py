"""Contrastive fine-tuning of a sentence encoder with torch (NoteLLM, 3.3 and 3.4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from streamproc.evaluation.related import measure_related
from streamproc.inference.digest import sha256_file
from streamproc.inference.protocols import Float32
from streamproc.training.base_encoder import BaseEncoder, Pooling
from streamproc.training.contrastive_batches import Batch, Targets, epoch_batches
from streamproc.training.encoder_data import EncoderData
from streamproc.training.journal import Epoch, Journal, Progress
from streamproc.training.note_set import NoteSet
from streamproc.training.recipe import Recipe
from streamproc.training.vector_teacher import Taught

__all__ = ["SentenceEncoder", "divergence", "fine_tune", "info_nce"]

_WEIGHT_DECAY = 0.01
_LARGEST_GRADIENT = 1.0

# Measured on two cores with the notes and tags of biotools_edam (18 to 64 tokens) and all-mpnet-base-v2: a batch takes 38 s read as
# one, 22.1 s by 64, 21.6 s by 32.
_READ_AT_A_TIME = 32


def info_nce(cosines: torch.Tensor, targets: Targets, temperature: float) -> torch.Tensor:
    """Mean over the rows that have a positive of −log(e^s₊ / (e^s₊ + Σ e^s₋)), s = cosine ÷ temperature.

    Several positives of a row share it as ``targets.positive`` says; none is a negative of another.

    Args:
        cosines: float32[rows, columns].
        targets: of the same shape.
        temperature: by which cosines are divided.
    """
    scores = cosines.float() / temperature
    positive = torch.from_numpy(targets.positive).to(scores.device)
    negative = torch.from_numpy(targets.negative).to(scores.device)
    # A row without negatives has nothing to be told from: its loss is 0, not NaN.
    against = scores.masked_fill(~negative, -1e4).logsumexp(dim=1, keepdim=True)
    rows = positive.sum(dim=1)
    return (positive * nn.functional.softplus(against - scores)).sum() / rows.sum().clamp(min=1)


def divergence(cosines: torch.Tensor, taught: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean over the rows of KL(teacher ‖ student), each the softmax of its cosines ÷ temperature.

    Args:
        cosines: the student's, float32[rows, columns].
        taught: the teacher's, likewise.
        temperature: by which cosines are divided.
    """
    student = (cosines.float() / temperature).log_softmax(dim=1)
    teacher = (taught.float() / temperature).log_softmax(dim=1)
    return (teacher.exp() * (teacher - student)).sum(dim=1).mean()


class SentenceEncoder:
    """A transformers checkpoint that gives sentence vectors: its tokens pooled, then unit length.

    Word embeddings stay as they are: most words of a repository occur in too few notes to be learnt.

    Args:
        base: the encoder as it is before.
        max_tokens: of a text; its end is left out.
    """

    def __init__(self, base: BaseEncoder, max_tokens: int) -> None:
        transformers_logging.set_verbosity_error()
        self.base = base
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: Any = AutoModel.from_pretrained(str(base.directory)).to(self.device)
        self.model.get_input_embeddings().weight.requires_grad_(requires_grad=False)
        self._tokenizer = Tokenizer.from_file(str(base.directory / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, special tokens among them."""
        return [each.ids for each in self._tokenizer.encode_batch(list(texts))]

    def vectors(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """Vectors float32[texts, dimension] of tokenized texts, read in bf16.

        Texts of like length are read together, some at a time, so that few of them are filled up.
        """
        order = np.argsort([len(each) for each in ids], kind="stable")
        groups = [order[start : start + _READ_AT_A_TIME] for start in range(0, len(order), _READ_AT_A_TIME)]
        read = torch.cat([self._read([ids[place] for place in group]) for group in groups])
        return read[torch.from_numpy(np.argsort(order, kind="stable")).to(self.device)]

    def encode(self, texts: Sequence[str]) -> Float32:
        """Vectors of any number of texts, without gradients, float32[texts, dimension]."""
        self.model.eval()
        with torch.no_grad():
            vectors: Float32 = self.vectors(self.tokenize(texts)).cpu().numpy()
        return vectors

    def _read(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        longest = max(len(each) for each in ids)
        padded = np.zeros((len(ids), longest), dtype=np.int64)
        mask = np.zeros((len(ids), longest), dtype=np.int64)
        for row, each in enumerate(ids):
            padded[row, : len(each)] = each
            mask[row, : len(each)] = 1
        attention = torch.from_numpy(mask).to(self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            hidden = self.model(
                input_ids=torch.from_numpy(padded).to(self.device), attention_mask=attention
            ).last_hidden_state
        if self.base.pooling is Pooling.CLS:
            return nn.functional.normalize(hidden[:, 0].float(), dim=1)
        summed = (hidden.float() * attention[..., None]).sum(dim=1)
        return nn.functional.normalize(summed, dim=1)


@dataclass(frozen=True, slots=True)
class _Tokens:
    notes: list[list[int]]
    tags: list[list[int]]


def fine_tune(
    encoder: SentenceEncoder,
    data: EncoderData,
    recipe: Recipe,
    journal: Journal,
    *,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    say: Callable[[str], None] = lambda _line: None,
) -> Progress:
    """Fine-tune an encoder in place; in the end it has the weights of the epoch that was best on valid.

    Where valid cannot tell (no related notes in it) the last epoch is kept.

    Args:
        encoder: as it is before, and after.
        data: notes and pairs.
        recipe: the numbers of the run.
        journal: where the run is saved, and continued from if it was.
        progress: told epoch, batches done, all batches.
        say: told what each epoch came to.

    Returns:
        The completed run; its ``best`` is empty where no epoch was better than the encoder as it was.

    Raises:
        UserError: the journal is another run's.
    """
    at = journal.open(data.fingerprint(recipe, sha256_file(encoder.base.weights)))
    optimiser = torch.optim.AdamW(
        [each for each in encoder.model.parameters() if each.requires_grad],
        lr=recipe.learning_rate,
        weight_decay=_WEIGHT_DECAY,
    )
    if at.state:
        state = torch.load(journal.file(at.state), map_location=encoder.device, weights_only=True)
        encoder.model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        say(f"going on after {at.batches} batches of epoch {at.epoch}")
    else:
        before = Epoch(_recall(encoder, data.sets), 0.0)
        say(f"before: {_in_words(before)}")
        at = msgspec.structs.replace(at, epochs=(before,))

    def write_weights(file: Path) -> None:
        torch.save(encoder.model.state_dict(), file)

    def write_state(file: Path) -> None:
        torch.save({"model": encoder.model.state_dict(), "optimiser": optimiser.state_dict()}, file)

    tokens = [_Tokens(encoder.tokenize(each.texts), encoder.tokenize(each.tag_texts)) for each in data.sets]
    while at.epoch <= recipe.epochs:
        batches = list(
            epoch_batches(
                data.sets,
                data.pairs,
                pairs_a_batch=recipe.pairs_a_batch,
                most_notes=recipe.notes_an_epoch,
                seed=recipe.seed,
                epoch=at.epoch,
            )
        )
        while at.batches < len(batches):
            batch = batches[at.batches]
            _set_learning_rate(optimiser, recipe, at.epoch - 1 + at.batches / len(batches))
            _seed(recipe.seed, at)
            taught = None if data.teacher is None else data.teacher.sets[batch.set]
            loss = _step(encoder, tokens[batch.set], batch, taught, recipe, optimiser)
            at = msgspec.structs.replace(at, batches=at.batches + 1, loss=at.loss + loss)
            progress(f"epoch {at.epoch}", at.batches, len(batches))
            if at.batches % recipe.save_batches == 0 and at.batches < len(batches):
                at = journal.save(at, state=write_state)
        found = Epoch(_recall(encoder, data.sets), at.loss / len(batches))
        say(f"epoch {at.epoch}: loss {found.loss:.4f}, {_in_words(found)}")
        better = {"best": write_weights} if _is_best(found, at.epochs) else {}
        at = msgspec.structs.replace(at, epoch=at.epoch + 1, batches=0, loss=0.0, epochs=(*at.epochs, found))
        at = journal.save(at, state=write_state, **better)
    if at.best:
        best = torch.load(journal.file(at.best), map_location=encoder.device, weights_only=True)
        encoder.model.load_state_dict(best)
    return at


def _set_learning_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, epochs_done: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = recipe.learning_rate_after(epochs_done)


def _seed(seed: int, at: Progress) -> None:
    """Of drop-out: each batch has its own, so that it is the same after a restart."""
    (state,) = np.random.SeedSequence([seed, at.epoch, at.batches]).generate_state(1)
    torch.manual_seed(int(state))


def _step(  # noqa: PLR0917 - what a step is made of
    encoder: SentenceEncoder,
    tokens: _Tokens,
    batch: Batch,
    taught: Taught | None,
    recipe: Recipe,
    optimiser: torch.optim.Optimizer,
) -> float:
    encoder.model.train()
    beta = 0.0 if taught is None else recipe.beta
    notes = encoder.vectors([tokens.notes[place] for place in batch.notes])
    losses = [(1.0, info_nce(notes @ notes.T, batch.to_notes, recipe.temperature))]
    tags = notes[:0]
    if (recipe.alpha or beta) and len(batch.tags):
        tags = encoder.vectors([tokens.tags[place] for place in batch.tags])
    if recipe.alpha and len(tags):
        losses.append((recipe.alpha, info_nce(notes @ tags.T, batch.to_tags, recipe.temperature)))
    if taught is not None and beta:
        losses.append((beta, _lesson(notes, tags, batch, taught, recipe.temperature)))
    loss = sum((weight * each for weight, each in losses), notes.new_zeros(())) / sum(w for w, _ in losses)
    optimiser.zero_grad()
    loss.backward()
    for group in optimiser.param_groups:
        nn.utils.clip_grad_norm_(group["params"], _LARGEST_GRADIENT)
    optimiser.step()
    return float(loss.detach())


def _lesson(
    notes: torch.Tensor, tags: torch.Tensor, batch: Batch, taught: Taught, temperature: float
) -> torch.Tensor:
    """How far the student is from the teacher, on notes among themselves and on notes and tags: the mean of both."""
    notes_taught = torch.from_numpy(taught.notes[batch.notes]).to(notes.device)
    tags_taught = torch.from_numpy(taught.tags[batch.tags]).to(notes.device)
    others = ~torch.eye(len(notes), dtype=torch.bool, device=notes.device)

    def to_others(vectors: torch.Tensor) -> torch.Tensor:
        return (vectors @ vectors.T)[others].view(len(vectors), -1)

    lessons = [divergence(to_others(notes), to_others(notes_taught), temperature)]
    if len(tags):
        lessons.append(divergence(notes @ tags.T, notes_taught @ tags_taught.T, temperature))
    return torch.stack(lessons).mean()


def _recall(encoder: SentenceEncoder, sets: Sequence[NoteSet]) -> float | None:
    found = []
    for each in sets:
        held_out = each.held_out
        if held_out.query_texts:
            measured = measure_related(
                encoder.encode(held_out.query_texts),
                encoder.encode([each.texts[place] for place in held_out.corpus]),
                held_out.related,
            )
            if measured is not None:
                found.append(measured.recall)
    return float(np.mean(found)) if found else None


def _is_best(found: Epoch, before: Sequence[Epoch]) -> bool:
    earlier = [each.recall for each in before if each.recall is not None]
    return found.recall is None or not earlier or found.recall > max(earlier)


def _in_words(epoch: Epoch) -> str:
    if epoch.recall is None:
        return "valid has no related notes to measure"
    return f"Recall@10 of related notes on a part of valid {epoch.recall:.4f}"
