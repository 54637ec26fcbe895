"""Texts to token windows.

A text longer than a window is read in several windows of equal length, up to a limit; what is still
left out is reported, never dropped in silence.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from streamproc.errors import BundleError

__all__ = ["TokenizedText", "WindowTokenizer", "leading_ids", "open_tokenizer", "special_id"]

# English text has 4 to 5 characters a token; with 8, nearly every text is settled by its first prefix.
_CHARS_PER_TOKEN = 8

# When a prefix held too few tokens (blanks, unbroken strings) a longer one is tried. Growth by 4 keeps
# all tries together below 4/3 of tokenizing the whole text.
_PREFIX_GROWTH = 4


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """One text as the encoder reads it.

    Attributes:
        windows: int64[1, tokens] each, special tokens included; at least one.
        truncated: whether tokens were left out.
    """

    windows: tuple[npt.NDArray[np.int64], ...]
    truncated: bool


class WindowTokenizer:
    """Cuts texts into windows of token ids. Safe to use from several threads.

    Args:
        file: a ``tokenizer.json`` that puts special tokens around a text ([CLS] and [SEP], say), without truncation or
            padding of its own.
        window_tokens: tokens a window may hold, special tokens included.
        max_windows: windows read of one text.

    Raises:
        BundleError: the file is no tokenizer, or puts nothing around a text.
    """

    def __init__(self, file: Path, *, window_tokens: int, max_windows: int) -> None:
        self._tokenizer = open_tokenizer(file)
        self._before, self._after = _around(self._tokenizer, file)
        self._window_content = window_tokens - len(self._before) - len(self._after)
        self._max_windows = max_windows

    def tokenize(self, text: str) -> TokenizedText:
        """The text's windows and whether its end was left out."""
        limit = self._window_content * self._max_windows
        ids = leading_ids(self._tokenizer, text, limit + 1)
        truncated = len(ids) > limit
        del ids[limit:]
        # Windows of equal length: the mean of their vectors then weighs every token alike, and
        # attention, quadratic in the length, costs least.
        count = max(1, -(-len(ids) // self._window_content))
        size = -(-len(ids) // count)
        return TokenizedText(
            windows=tuple(
                np.array([[*self._before, *ids[start : start + size], *self._after]], dtype=np.int64)
                for start in range(0, count * max(size, 1), max(size, 1))
            ),
            truncated=truncated,
        )


def open_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer of a ``tokenizer.json``.

    Raises:
        BundleError: the file is no tokenizer.
    """
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare Exception
        raise BundleError(f"{file} is not a tokenizer ({error}): export the bundle again") from error


def _around(tokenizer: Tokenizer, file: Path) -> tuple[list[int], list[int]]:
    """The ids of the special tokens that stand before and after a text."""
    encoding = tokenizer.encode("a")
    special: list[int] = encoding.special_tokens_mask
    if 1 not in special or 0 not in special:
        raise BundleError(
            f"{file} puts no special tokens around a text: models read texts as they did in training, export the bundle "
            "from an encoder's own tokenizer.json"
        )
    first, last = special.index(0), len(special) - special[::-1].index(0)
    return encoding.ids[:first], encoding.ids[last:]


def special_id(tokenizer: Tokenizer, token: str, file: Path) -> int:
    """The id of a special token.

    Raises:
        BundleError: the tokenizer lacks it.
    """
    number = tokenizer.token_to_id(token)
    if number is None:
        raise BundleError(f"{file} has no token {token}: the models need a BERT-like tokenizer")
    return int(number)


def leading_ids(tokenizer: Tokenizer, text: str, limit: int) -> list[int]:
    """The first ``limit`` ids of a text, or all where it has fewer; no special tokens.

    Only a prefix is tokenized where that is enough. The prefix's last word may be cut, so its
    tokens do not count; all before it are those of the whole text.
    """
    length = limit * _CHARS_PER_TOKEN
    while length < len(text):
        encoding = tokenizer.encode(text[:length], add_special_tokens=False)
        words = encoding.word_ids
        if len(words) >= limit:
            ids: list[int] = encoding.ids[: words.index(words[-1])]
            if len(ids) >= limit:
                return ids[:limit]
        length *= _PREFIX_GROWTH
    whole: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return whole[:limit]
