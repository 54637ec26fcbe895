"""Training of label-marker models: batches of notes with some of their candidates, in bfloat16.

A score does not depend on the other candidates, so a step need not see all of a note's: it sees the right
ones, the wrong ones that the evidence alone finds likeliest, and a few of the others, which count for all
of them.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from streamproc.errors import UserError
from streamproc.inference.marker_tokens import PADDING, MarkerTokenizer
from streamproc.inference.protocols import CandidateTag, Float32
from streamproc.training.journal import fingerprint
from streamproc.training.marker import MarkerConfig, MarkerModel
from streamproc.training.marker_training import MarkerTraining
from streamproc.training.perceptron import Network, logits
from streamproc.training.rows import VOTE_COLUMNS, Rows

__all__ = ["fit_marker", "marker_logits"]

Indices = npt.NDArray[np.int64]

_SORTED_BATCHES = 32  # batches whose notes are sorted by length together: little padding, still at random
_CHECKPOINT_STEPS = 250
_REPORT_STEPS = 100
_WARMUP = 0.1


@dataclass(frozen=True, slots=True)
class _Texts:
    """Everything that is read, as token ids."""

    notes: Sequence[npt.NDArray[np.int64]]
    tags: Mapping[CandidateTag, npt.NDArray[np.int64]]
    names: Mapping[CandidateTag, npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class _Batch:
    note_ids: Tensor
    candidate_ids: Tensor
    evidence: Tensor
    right: Tensor
    weight: Tensor


def fit_marker(
    rows: Rows,
    start: MarkerModel | tuple[MarkerConfig, Mapping[str, Tensor], Network],
    tokenizer: MarkerTokenizer,
    training: MarkerTraining,
    *,
    state_file: Path,
    progress: Callable[[str], None] = lambda _line: None,
) -> MarkerModel:
    """Train a model, from where an interrupted run of the same training stopped.

    Args:
        rows: candidates with their truth, or a probability that mixes in a teacher's belief.
        start: a model that is to learn on, or the shape, checkpoint and evidence network of a new one.
        tokenizer: with the budgets of the model.
        training: how.
        state_file: where the state is kept while it runs; removed at the end.
        progress: told how it goes.

    Raises:
        UserError: the state is another run's.
    """
    torch.manual_seed(training.seed)
    model = start if isinstance(start, MarkerModel) else MarkerModel(*start)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    likely = logits(model.evidence.network(), rows.evidence)
    likely = likely[:, 0] - likely[:, 1] if likely.shape[1] == 2 else likely[:, 0]
    texts = _tokenize(rows, tokenizer)
    groups = _by_note(rows)
    optimiser = _optimiser(model, training)
    steps = training.epochs * -(-len(groups) // training.batch_notes)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in optimiser.param_groups], total_steps=steps, pct_start=_WARMUP
    )
    run = _fingerprint(rows, texts, model, training)
    done = _resume(state_file, run, model, optimiser, schedule)
    began, step, loss_sum = time.monotonic(), 0, 0.0
    for epoch in range(training.epochs):
        random = np.random.default_rng([training.seed, epoch])
        for some in _batches(rows, groups, texts, training.batch_notes, random):
            batch = _batch(rows, likely, some, texts, training, random)
            step += 1
            if step <= done:
                continue  # drawn again, so that what follows is what an unbroken run would have seen
            loss_sum += _step(model, batch, optimiser, training, device)
            schedule.step()
            if step % _CHECKPOINT_STEPS == 0:
                _keep(state_file, run, model, optimiser, schedule, step)
            if step % _REPORT_STEPS == 0:
                rate = (step - done) * training.batch_notes / (time.monotonic() - began)
                progress(
                    f"step {step:,} of {steps:,}: loss {loss_sum / _REPORT_STEPS:.4f}, {rate:.1f} notes/s"
                )
                loss_sum = 0.0
    state_file.unlink(missing_ok=True)
    trained: MarkerModel = model.to("cpu").eval()
    return trained


def marker_logits(
    model: MarkerModel, rows: Rows, tokenizer: MarkerTokenizer, *, batch_notes: int = 16
) -> Float32:
    """The model's logits of all rows: float32[rows], or float32[rows, 2] of a judge."""
    device = next(model.parameters()).device
    texts, groups = _tokenize(rows, tokenizer), _by_note(rows)
    outputs = model.config.outputs
    results = np.zeros((len(rows.right), outputs), dtype=np.float32)
    order = sorted(range(len(groups)), key=lambda note: len(texts.notes[rows.note[groups[note][0]]]))
    for first in range(0, len(order), batch_notes):
        chosen = [groups[note] for note in order[first : first + batch_notes]]
        batch = _collate(rows, chosen, [np.ones(len(each)) for each in chosen], texts, texts.tags)
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
            found = model(
                *(each.to(device) for each in (batch.note_ids, batch.candidate_ids, batch.evidence))
            )
        found = found.float().cpu().numpy().reshape(len(chosen), -1, outputs)
        for place, group in enumerate(chosen):
            results[group] = found[place, : len(group)]
    return results[:, 0] if outputs == 1 else results


def _step(
    model: MarkerModel,
    batch: _Batch,
    optimiser: torch.optim.Optimizer,
    training: MarkerTraining,
    device: torch.device,
) -> float:
    with torch.autocast(device.type, dtype=torch.bfloat16):
        found = model(*(each.to(device) for each in (batch.note_ids, batch.candidate_ids, batch.evidence)))
    logit = (found[..., 0] - found[..., 1] if found.dim() == 3 else found).float()
    right, weight = batch.right.to(device), batch.weight.to(device)
    each = nn.functional.binary_cross_entropy_with_logits(logit, right, reduction="none")
    loss = (each * weight).sum() / weight.sum()
    if training.listwise:
        # Candidates that count for several are several in the sum; padding has weight 0.
        share = torch.log_softmax(logit + torch.log(weight.clamp(min=1e-6)), dim=1)
        loss = loss - training.listwise * (share * right * (weight > 0)).sum() / weight.sum()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _optimiser(model: MarkerModel, training: MarkerTraining) -> torch.optim.AdamW:
    text, head, plain = [], [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("evidence."):
            plain.append(parameter)
        elif name.startswith(("hidden.", "correction.")):
            head.append(parameter)
        else:
            text.append(parameter)
    return torch.optim.AdamW(
        [
            {"params": text, "lr": training.text_rate},
            {"params": head, "lr": training.head_rate},
            {"params": plain, "lr": training.head_rate / 5},
        ],
        weight_decay=0.01,
    )


def _tokenize(rows: Rows, tokenizer: MarkerTokenizer) -> _Texts:
    tags = dict.fromkeys(rows.tags)
    return _Texts(
        notes=[tokenizer.note(text)[0] for text in rows.texts],
        tags={tag: tokenizer.candidates([tag])[0, 0] for tag in tags},
        names={tag: tokenizer.candidates([CandidateTag(tag.tag_id, tag.name, "")])[0, 0] for tag in tags},
    )


def _by_note(rows: Rows) -> list[Indices]:
    """The rows of each note that has any."""
    starts = np.flatnonzero(np.diff(rows.note, prepend=-1))
    return (
        [np.asarray(each) for each in np.split(np.arange(len(rows.note)), starts[1:])] if len(starts) else []
    )


def _batches(
    rows: Rows, groups: Sequence[Indices], texts: _Texts, size: int, random: np.random.Generator
) -> Iterator[list[Indices]]:
    """All groups once, at random; those of a batch have notes of similar length."""
    order = random.permutation(len(groups))
    for first in range(0, len(order), size * _SORTED_BATCHES):
        some = [groups[place] for place in order[first : first + size * _SORTED_BATCHES]]
        some.sort(key=lambda group: len(texts.notes[rows.note[group[0]]]))
        batches = [some[start : start + size] for start in range(0, len(some), size)]
        yield from (batches[place] for place in random.permutation(len(batches)))


def _batch(  # noqa: PLR0917 - all that a batch is made of
    rows: Rows,
    likely: Float32,
    groups: Sequence[Indices],
    texts: _Texts,
    training: MarkerTraining,
    random: np.random.Generator,
) -> _Batch:
    chosen, weights = [], []
    for group in groups:
        picked, weight = _pick(rows.right[group], likely[group], training, random)
        chosen.append(group[picked])
        weights.append(weight)
    read = texts.names if random.random() < training.names_only else texts.tags
    batch = _collate(rows, chosen, weights, texts, read)
    if training.without_votes:
        new = torch.from_numpy(random.random(batch.right.shape) < training.without_votes)
        batch.evidence[..., VOTE_COLUMNS] *= (~new).float()[..., None]
    return batch


def _pick(
    right: Float32, likely: Float32, training: MarkerTraining, random: np.random.Generator
) -> tuple[Indices, npt.NDArray[np.float64]]:
    """Places of the candidates that a step sees, and for how many each counts."""
    if len(right) <= training.candidates:
        return np.arange(len(right)), np.ones(len(right))
    best = np.argsort(-(likely + np.where(right > 0.5, 1e3, 0.0)), kind="stable")
    sure, rest = best[: training.candidates - training.others], best[training.candidates - training.others :]
    drawn = random.permutation(rest)[: training.others]
    return (
        np.concatenate([sure, drawn]),
        np.concatenate([np.ones(len(sure)), np.full(len(drawn), len(rest) / max(len(drawn), 1))]),
    )


def _collate(
    rows: Rows,
    chosen: Sequence[Indices],
    weights: Sequence[npt.NDArray[np.float64]],
    texts: _Texts,
    read: Mapping[CandidateTag, npt.NDArray[np.int64]],
) -> _Batch:
    notes = [texts.notes[rows.note[group[0]]] for group in chosen]
    tags = [[read[rows.tags[row]] for row in group] for group in chosen]
    size = (len(chosen), max(map(len, chosen)))
    note_ids = np.full((size[0], max(map(len, notes))), PADDING, dtype=np.int64)
    candidate_ids = np.full((*size, max(len(ids) for each in tags for ids in each)), PADDING, dtype=np.int64)
    evidence = np.zeros((*size, rows.evidence.shape[1]), dtype=np.float32)
    right, weight = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
    for place, group in enumerate(chosen):
        note_ids[place, : len(notes[place])] = notes[place]
        for column, ids in enumerate(tags[place]):
            candidate_ids[place, column, : len(ids)] = ids
        evidence[place, : len(group)] = rows.evidence[group]
        right[place, : len(group)] = rows.right[group]
        weight[place, : len(group)] = weights[place]
    return _Batch(*map(torch.from_numpy, (note_ids, candidate_ids, evidence, right, weight)))


def _fingerprint(rows: Rows, texts: _Texts, model: MarkerModel, training: MarkerTraining) -> str:
    """What tells a run over these rows, from this model, with these numbers from every other run."""
    read = chain(texts.notes, (texts.tags[tag] for tag in rows.tags))
    weights = (each.cpu().numpy() for each in model.state_dict().values())
    arrays = chain((rows.evidence, rows.right, rows.note), read, weights)
    return fingerprint(chain([repr(training)], (each.tobytes() for each in arrays)))


def _keep(  # noqa: PLR0917 - all that is kept
    file: Path,
    run: str,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    step: int,
) -> None:
    state = {
        "run": run,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "step": step,
    }
    unfinished = file.with_suffix(".writing")
    torch.save(state, unfinished)
    unfinished.replace(file)


def _resume(
    file: Path,
    run: str,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> int:
    """Steps that are done already."""
    if not file.exists():
        return 0
    state = torch.load(file, weights_only=True)
    if state.get("run") != run:
        raise UserError(
            f"{file} holds an unfinished run with other data or settings: "
            "repeat the command it was started with, or remove the file to start anew"
        )
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    schedule.load_state_dict(state["schedule"])
    return int(state["step"])
