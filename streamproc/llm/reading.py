"""Reading structured answers, also those that come with fences, thoughts or talk around them."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

from streamproc.errors import UnreadableAnswerError

__all__ = ["read_answer"]

T = TypeVar("T")

# Models that think aloud put it before the answer, between such marks.
_THOUGHTS = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)

# An answer with more opening braces that begin no object is no answer.
_TRIES = 64


def read_answer(text: str, form: type[T]) -> T:
    """The JSON object of an answer as a value of this type; numbers may stand as strings.

    Raises:
        UnreadableAnswerError: there is none, or it is of another form.
    """
    wrong = "it holds no JSON object"
    for found in _objects(_THOUGHTS.sub("", text).strip()):
        try:
            return msgspec.convert(found, form, strict=False)
        except msgspec.ValidationError as error:
            wrong = str(error)
    raise UnreadableAnswerError(f"the answer cannot be read: {wrong}")


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, outermost ones only, the longest first: talk may quote a part of the answer."""
    found: list[tuple[int, dict[str, Any]]] = []
    start = text.find("{")
    for _ in range(_TRIES):
        if start < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            found.append((end - start, value))
        start = text.find("{", end)
    for _, value in sorted(found, key=lambda each: -each[0]):
        yield value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
