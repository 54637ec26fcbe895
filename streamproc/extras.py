"""The package's optional dependencies, and how a person gets them."""

from typing import Literal

__all__ = ["Extra", "how_to_install"]

Extra = Literal["cpu", "gpu", "train", "baselines"]


def how_to_install(extra: Extra) -> str:
    """The command that a message names as the remedy; as in README, it is typed where the package was cloned to."""
    return f"pip install '.[{extra}]' in streamproc's directory"
