"""The label-marker encoder: one pass over a note and its candidate tags, one score a candidate.

::

    [CLS] note [SEP]        the note's tokens see only the note
    [MASK] name: definition a candidate's tokens see the note and themselves; positions begin anew

What the network makes of a candidate stands at its marker, the candidate's first token. Beside it goes
the candidate's evidence: a network over the evidence alone gives a first logit, and the text corrects it.
So a score depends neither on the order nor on the company of the other candidates, and a note's own
layers are run once for all of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from streamproc.training.perceptron import CLIP, Network

__all__ = ["MarkerConfig", "MarkerModel"]

_MASKED = -1e4  # far below any score, and still a number in half precision
_TEXT_HIDDEN = 64
_FIRST_CORRECTION = 0.1


@dataclass(frozen=True, slots=True)
class MarkerConfig:
    """The shape of the network.

    Attributes:
        features: numbers of evidence a candidate has.
        outputs: logits a candidate gets: one of a tagger; Yes and No of a judge.
        layers: of the encoder, the first of the checkpoint's.
        dropout: share of hidden numbers that are left out in training.
    """

    features: int
    outputs: int = 1
    layers: int = 6
    dropout: float = 0.1


class MarkerModel(nn.Module):  # type: ignore[misc]
    """``note_ids int64[b, n], candidate_ids int64[b, k, s], evidence float32[b, k, f] -> float32[b, k(, 2)]``.

    Id 0 is padding in both. The word embeddings are frozen: all models of a bundle share one table.

    Args:
        config: the shape.
        checkpoint: tensors of a BERT-like transformers checkpoint, by name.
        evidence: a trained network over the evidence, which the text is to correct.
        heads: attention heads of the checkpoint.
    """

    def __init__(
        self, config: MarkerConfig, checkpoint: Mapping[str, Tensor], evidence: Network, heads: int = 12
    ) -> None:
        super().__init__()
        words = checkpoint["embeddings.word_embeddings.weight"].float()
        width = words.shape[1]
        self.config = config
        self.words = nn.Embedding.from_pretrained(words, freeze=True)
        self.positions = nn.Embedding.from_pretrained(
            checkpoint["embeddings.position_embeddings.weight"].float(), freeze=True
        )
        self.kinds = nn.Parameter(checkpoint["embeddings.token_type_embeddings.weight"].float().clone())
        self.norm = _norm(checkpoint, "embeddings.LayerNorm")
        self.layers = nn.ModuleList(
            _Layer(checkpoint, f"encoder.layer.{number}", heads) for number in range(config.layers)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.evidence = _Evidence(evidence)
        self.hidden = nn.Linear(width + self.evidence.width, _TEXT_HIDDEN)
        self.correction = nn.Linear(_TEXT_HIDDEN, config.outputs)
        # Small beside the evidence's own judgement, but not nothing: the layers below learn through it.
        nn.init.normal_(self.correction.weight, std=_FIRST_CORRECTION)
        nn.init.zeros_(self.correction.bias)

    def forward(self, note_ids: Tensor, candidate_ids: Tensor, evidence: Tensor) -> Tensor:
        """The logits of each candidate."""
        length, candidates, tokens = note_ids.shape[1], candidate_ids.shape[1], candidate_ids.shape[2]
        note_mask = _hidden(note_ids)[:, None, None, :]
        own_mask = _hidden(candidate_ids)[:, None, :, None, :]
        note = self._embed(note_ids, self.positions.weight[:length], 0)
        tags = self._embed(candidate_ids, self.positions.weight[:tokens], 1)
        # One sequence, so that every product of weights is one product; attention alone tells them apart.
        states = torch.cat([note, tags.flatten(1, 2)], dim=1)
        for layer in self.layers:
            states = layer(states, note_mask, own_mask)
        marker = states[:, length:].reshape(-1, candidates, tokens, states.shape[-1])[:, :, 0]
        first, hidden = self.evidence(evidence)
        text = functional.gelu(self.hidden(torch.cat([self.dropout(marker), hidden], dim=-1)))
        logits: Tensor = first + self.correction(text).float()
        return logits.reshape(-1, candidates) if self.config.outputs == 1 else logits

    def _embed(self, ids: Tensor, positions: Tensor, kind: int) -> Tensor:
        embedded: Tensor = self.dropout(self.norm(self.words(ids) + positions + self.kinds[kind]))
        return embedded


class _Layer(nn.Module):  # type: ignore[misc]
    """A transformer layer over a note and, beside it, its candidates."""

    def __init__(self, checkpoint: Mapping[str, Tensor], name: str, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.size = checkpoint[f"{name}.attention.self.query.weight"].shape[0] // heads
        self.query = _linear(checkpoint, f"{name}.attention.self.query")
        self.key = _linear(checkpoint, f"{name}.attention.self.key")
        self.value = _linear(checkpoint, f"{name}.attention.self.value")
        self.attended = _linear(checkpoint, f"{name}.attention.output.dense")
        self.attended_norm = _norm(checkpoint, f"{name}.attention.output.LayerNorm")
        self.inner = _linear(checkpoint, f"{name}.intermediate.dense")
        self.outer = _linear(checkpoint, f"{name}.output.dense")
        self.outer_norm = _norm(checkpoint, f"{name}.output.LayerNorm")

    def forward(self, states: Tensor, note_mask: Tensor, own_mask: Tensor) -> Tensor:
        """Hidden states of the note's tokens and of all candidates' tokens, float[b, n + k · s, d]."""
        length, candidates, tokens = note_mask.shape[-1], own_mask.shape[2], own_mask.shape[4]
        query = self._split(self.query(states)) * (1 / math.sqrt(self.size))  # [b, h, n + k · s, d / h]
        key, value = self._split(self.key(states)), self._split(self.value(states))
        note_key, note_value = key[:, :, :length], value[:, :, :length]
        of_note = query @ note_key.transpose(-1, -2) + note_mask
        read = torch.softmax(of_note[:, :, :length], dim=-1) @ note_value

        apart = (-1, self.heads, candidates, tokens)
        own_query, own_key, own_value = (
            each[:, :, length:].reshape(*apart, self.size) for each in (query, key, value)
        )
        of_own = own_query @ own_key.transpose(-1, -2) + own_mask
        of_note = of_note[:, :, length:].reshape(*apart, length)
        shares = torch.softmax(torch.cat([of_note, of_own], dim=-1), dim=-1)
        from_note = shares[..., :length].flatten(2, 3) @ note_value
        from_own = (shares[..., length:] @ own_value).flatten(2, 3)
        joined = torch.cat([read, from_note + from_own], dim=2).transpose(1, 2).flatten(2)
        states = self.attended_norm(states + self.attended(joined))
        fed: Tensor = self.outer_norm(states + self.outer(functional.gelu(self.inner(states))))
        return fed

    def _split(self, states: Tensor) -> Tensor:
        batch, tokens, _ = states.shape
        return states.reshape(batch, tokens, self.heads, self.size).transpose(1, 2)


class _Evidence(nn.Module):  # type: ignore[misc]
    """A perceptron over the evidence: its last hidden layer and its logits."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(network.mean))
        self.register_buffer("scale", torch.from_numpy(network.scale))
        self.layers = nn.ModuleList(_from_arrays(*layer) for layer in network.layers)
        self.width = network.layers[-2][0].shape[0]

    def network(self) -> Network:
        """The same as arrays."""
        return Network(
            self.mean.cpu().numpy(),
            self.scale.cpu().numpy(),
            tuple(
                (layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy())
                for layer in self.layers
            ),
        )

    def forward(self, evidence: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.clamp((evidence - self.mean) * self.scale, -CLIP, CLIP)
        for layer in self.layers[:-1]:
            hidden = torch.relu(layer(hidden))
        return self.layers[-1](hidden).float(), hidden


def _hidden(ids: Tensor) -> Tensor:
    """What is added to the scores of padding."""
    return (ids == 0).float() * _MASKED


def _linear(checkpoint: Mapping[str, Tensor], name: str) -> nn.Linear:
    return _from_arrays(checkpoint[f"{name}.weight"].numpy(), checkpoint[f"{name}.bias"].numpy())


def _from_arrays(weights: np.ndarray, biases: np.ndarray) -> nn.Linear:
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights)))
        layer.bias.copy_(torch.from_numpy(biases))
    return layer


def _norm(checkpoint: Mapping[str, Tensor], name: str) -> nn.LayerNorm:
    weight = checkpoint[f"{name}.weight"]
    norm = nn.LayerNorm(weight.shape[0], eps=1e-12)
    with torch.no_grad():
        norm.weight.copy_(weight)
        norm.bias.copy_(checkpoint[f"{name}.bias"])
    return norm
