"""Small networks over evidence, trained with torch: standardise, two hidden layers, one or two logits.

Several may be trained, each from other initial weights and in another order; what serves is one network that gives their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from streamproc.inference.protocols import Float32
from streamproc.training.rows import Rows

__all__ = ["CLIP", "Network", "fit_calibrator", "fit_tagger", "listwise_loss", "logits", "mean_of"]

_HIDDEN = (64, 32)
_BATCH_NOTES = 256
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 1e-3

CLIP = 8.0
"""Beyond eight deviations an input says no more than at eight."""

_DAMPED = 0.1  # of the other last weights that is left to a network that starts from a logit

# How much the order within a note counts beside the probability of each candidate.
_LISTWISE = 1.0


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network as arrays: y = W₃ relu(W₂ relu(W₁ z + b₁) + b₂) + b₃, z = clip((x − mean) · scale, ±8).

    Attributes:
        mean: float32[inputs].
        scale: float32[inputs]; 0 for an input that never varied in training: it says nothing.
        layers: weights float32[outputs, inputs] and biases float32[outputs] of each layer.
    """

    mean: Float32
    scale: Float32
    layers: tuple[tuple[Float32, Float32], ...]


def logits(network: Network, inputs: Float32) -> Float32:
    """The network's output, float32[rows, outputs]."""
    hidden = np.clip((inputs - network.mean) * network.scale, -CLIP, CLIP)
    for number, (weights, biases) in enumerate(network.layers):
        hidden = hidden @ weights.T + biases
        if number < len(network.layers) - 1:
            hidden = np.maximum(hidden, 0)
    output: Float32 = hidden.astype(np.float32)
    return output


def mean_of(networks: Sequence[Network]) -> Network:
    """The network whose output is the mean of the outputs of some that standardise alike: they stand side by side in it.

    Args:
        networks: at least one, of as many layers each.
    """
    count, last = np.float32(len(networks)), len(networks[0].layers) - 1
    layers: list[tuple[Float32, Float32]] = []
    for number in range(last + 1):
        weights = [each.layers[number][0] for each in networks]
        biases = [each.layers[number][1] for each in networks]
        if number == last:
            layers.append((np.concatenate(weights, axis=1) / count, np.stack(biases).sum(axis=0) / count))
        else:
            matrix = _side_by_side(weights) if number else np.concatenate(weights)
            layers.append((matrix, np.concatenate(biases)))
    return Network(networks[0].mean, networks[0].scale, tuple(layers))


def _side_by_side(blocks: Sequence[Float32]) -> Float32:
    """The matrix with these along its diagonal."""
    heights, widths = (np.cumsum([0, *(block.shape[axis] for block in blocks)]) for axis in (0, 1))
    matrix = np.zeros((heights[-1], widths[-1]), dtype=np.float32)
    for place, block in enumerate(blocks):
        matrix[heights[place] : heights[place + 1], widths[place] : widths[place + 1]] = block
    return matrix


def fit_tagger(rows: Rows, *, networks: int = 1, epochs: int = 30, seed: int = 0) -> Network:
    """A network that gives each candidate one logit.

    Trained on the probability of each candidate (binary cross-entropy) and on the order within a note
    (cross-entropy of the softmax over its candidates). Service sees candidates one by one all the same.
    Both are linear in ``rows.right``: where that mixes in a teacher's belief, the network learns people's
    labels, the teacher's, and the order within a note that either gives.

    Args:
        rows: what it learns from.
        networks: of which it gives the mean.
        epochs: passes over the rows.
        seed: of the initial weights and of the order.
    """
    return mean_of(
        [
            _fit(rows, rows.evidence, outputs=1, listwise=_LISTWISE, epochs=epochs, seed=each)
            for each in _seeds(networks, seed)
        ]
    )


def fit_calibrator(
    rows: Rows, tagger_logits: Float32, *, networks: int = 1, epochs: int = 20, seed: int = 0
) -> Network:
    """A network that gives each candidate two logits, Yes and No (LLM4Tag, eq. 10).

    It starts as the tagger: few passes then mend the tagger's confidence and need not learn its order anew.

    Args:
        rows: of notes that the tagger was not trained on.
        tagger_logits: float32[rows].
        networks: of which it gives the mean.
        epochs: passes over the rows.
        seed: of the initial weights and of the order.
    """
    inputs = np.concatenate([rows.evidence, tagger_logits[:, None]], axis=1)
    return mean_of(
        [
            _fit(rows, inputs, outputs=2, listwise=0.0, epochs=epochs, seed=each, from_logit=True)
            for each in _seeds(networks, seed)
        ]
    )


def _seeds(networks: int, seed: int) -> list[int]:
    """One a network; the first is the seed itself."""
    return [seed, *np.random.SeedSequence(seed).generate_state(networks - 1).tolist()]


def _fit(
    rows: Rows,
    inputs: Float32,
    *,
    outputs: int,
    listwise: float,
    epochs: int,
    seed: int,
    from_logit: bool = False,
) -> Network:
    """Train one network; ``from_logit``: the last input is a logit that it gives to begin with."""
    torch.set_num_threads(1)  # batches are small: more threads wait for each other
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(deviation > 1e-4, 1 / np.maximum(deviation, 1e-4), 0).astype(np.float32)
    z = torch.from_numpy(np.clip((inputs - mean) * scale, -CLIP, CLIP).astype(np.float32))
    right = torch.from_numpy(rows.right)
    model = nn.Sequential(
        nn.Linear(inputs.shape[1], _HIDDEN[0]),
        nn.ReLU(),
        nn.Linear(_HIDDEN[0], _HIDDEN[1]),
        nn.ReLU(),
        nn.Linear(_HIDDEN[1], outputs),
    )
    if from_logit:
        _start_from_logit(model, float(mean[-1]), float(deviation[-1]))
    starts = np.flatnonzero(np.diff(rows.note, prepend=-1))
    ends = np.append(starts[1:], len(rows.note))
    optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    batches = -(-len(starts) // _BATCH_NOTES)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=epochs * batches)
    for _ in range(epochs):
        order = random.permutation(len(starts))
        for first in range(0, len(order), _BATCH_NOTES):
            notes = order[first : first + _BATCH_NOTES]
            lengths = ends[notes] - starts[notes]
            places = torch.from_numpy(_ranges(starts[notes], lengths))
            y = model(z[places])
            logit = y[:, 0] - y[:, 1] if outputs == 2 else y[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logit, right[places])
            if listwise:
                note = torch.from_numpy(np.repeat(np.arange(len(notes)), lengths))
                loss = loss + listwise * listwise_loss(logit, right[places], note, len(notes))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    linear = [module for module in model if isinstance(module, nn.Linear)]
    return Network(
        mean.astype(np.float32),
        scale,
        tuple((each.weight.detach().numpy().copy(), each.bias.detach().numpy().copy()) for each in linear),
    )


def _start_from_logit(model: nn.Sequential, mean: float, deviation: float) -> None:
    """Make a network of two outputs whose difference is the logit that stands, standardised, in its last input.

    The first two units of each hidden layer carry what is above the mean and what is below it.
    """
    first, second, last = (module for module in model if isinstance(module, nn.Linear))
    carry = torch.eye(2)
    against = torch.tensor([[0.5, -0.5], [-0.5, 0.5]])
    with torch.no_grad():
        for layer in (first, second):
            layer.weight[:2] = 0
            layer.bias[:2] = 0
        first.weight[:2, -1] = torch.tensor([1.0, -1.0])
        second.weight[:2, :2] = carry
        last.weight *= _DAMPED
        last.weight[:, :2] = deviation * against
        last.bias[:] = mean * against[:, 0]


def _ranges(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """All integers of the ranges, one range after the other."""
    offsets = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return offsets + np.arange(int(lengths.sum()))


def listwise_loss(logit: torch.Tensor, right: torch.Tensor, note: torch.Tensor, notes: int) -> torch.Tensor:
    """Ranking: −log softmax within the note, summed over right candidates, a candidate of the batch.

    What is right in part counts in part, so a note's candidates are put in the order of their truth.

    Args:
        logit: float32[rows].
        right: float32[rows], within [0, 1].
        note: int64[rows], the note of each row, from 0.
        notes: how many there are.
    """
    highest = torch.full((notes,), -1e9).scatter_reduce(0, note, logit.detach(), "amax")
    total = torch.zeros(notes).index_add(0, note, torch.exp(logit - highest[note]))
    log_share = logit - highest[note] - torch.log(total[note])
    return -(right * log_share).sum() / len(logit)
