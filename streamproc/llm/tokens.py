"""Counting tokens to reckon what questions will cost."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from streamproc.errors import BundleError

__all__ = ["token_counter"]


def token_counter(file: Path) -> Callable[[Sequence[str]], list[int]]:
    """How many tokens texts have by this ``tokenizer.json``; the model's own may count some more or fewer.

    Raises:
        BundleError: the file is no tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare Exception
        raise BundleError(f"{file} is not a tokenizer ({error}): export the bundle again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(each.ids) for each in encoded]

    return count
