"""Answers that were paid for, kept on disk: a run that was interrupted, or is repeated, asks nothing twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from streamproc.errors import InputFileError
from streamproc.llm.reply import Usage

__all__ = ["AnswerCache", "CachedAnswer", "Ending"]

_BUSY_SECONDS = 30.0  # another run may be writing to the same file

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    ending TEXT NOT NULL,
    text TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL
) WITHOUT ROWID
"""


class Ending(StrEnum):
    """How asking a question ended; what may end otherwise the next time is not kept."""

    ANSWERED = "answered"
    REFUSED = "refused"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """The end of a question.

    Attributes:
        ending: how it ended.
        text: the answer; or, for the other endings, what was wrong.
        usage: of all requests that the question took.
    """

    ending: Ending
    text: str
    usage: Usage


class AnswerCache:
    """Answers by the key of their prompt, in one SQLite file; every answer is on disk once ``put`` returns.

    Args:
        file: made where it is missing.

    Raises:
        InputFileError: the file is something else or cannot be written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file.expanduser()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputFileError(f"{self.file} cannot be written: {error.strerror or error}") from None
        with self._explained():
            self._base = sqlite3.connect(self.file, timeout=_BUSY_SECONDS, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.execute(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def get(self, key: str) -> CachedAnswer | None:
        """What is known of a prompt."""
        with self._explained():
            row = self._base.execute(
                "SELECT ending, text, prompt_tokens, completion_tokens FROM answers WHERE key = ?", (key,)
            ).fetchone()
        return row and CachedAnswer(Ending(row[0]), row[1], Usage(row[2], row[3]))

    def put(self, key: str, model: str, version: str, answer: CachedAnswer) -> None:
        """Keep an answer, in place of an older one."""
        row = (key, model, version, answer.ending.value, answer.text)
        with self._explained():
            self._base.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*row, answer.usage.prompt_tokens, answer.usage.completion_tokens),
            )

    def mean_completion_tokens(self, model: str, version: str) -> float | None:
        """How long this model's answers to prompts of this version were so far; None: not known."""
        with self._explained():
            (mean,) = self._base.execute(
                "SELECT avg(completion_tokens) FROM answers "
                "WHERE model = ? AND version = ? AND completion_tokens > 0",
                (model, version),
            ).fetchone()
        return mean if mean is None else float(mean)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InputFileError(
                f"{self.file} cannot be used to keep answers ({error}): name another file"
            ) from None
