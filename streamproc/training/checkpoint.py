"""Transformers checkpoints as tensors by name."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from streamproc.errors import UserError
from streamproc.training.base_encoder import default_base

__all__ = ["read_checkpoint"]


def read_checkpoint(directory: Path | None = None) -> Mapping[str, Tensor]:
    """The tensors of a BERT-like checkpoint.

    Args:
        directory: with ``model.safetensors``; None: all-MiniLM-L6-v2.

    Raises:
        UserError: there is none.
    """
    file = default_base().weights if directory is None else directory / "model.safetensors"
    if not file.is_file():
        raise UserError(f"{file} is missing: name the directory of a transformers checkpoint")
    tensors: Mapping[str, Tensor] = load_file(file)
    return tensors
