"""What is wrong with a value that does not fit its schema, and which value that is."""

import re
from typing import Any

import msgspec

__all__ = ["explained"]

_WHERE = re.compile(r"^(?P<what>.*) - at `\$(?P<path>[^`]*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_SHOWN_CHARACTERS = 80
_REMEDIES = {"datetime": "write it as 2026-01-31T12:00:00Z"}


def explained(error: msgspec.ValidationError, value: Any) -> str:
    """The error in words: the field, what stands there, what is wrong with it and, where that helps, what to do.

    Args:
        error: of msgspec.
        value: what was read, as plain JSON types; UNSET: it cannot be.
    """
    found = _WHERE.match(str(error))
    if found is None:
        return str(error)
    what, path = found["what"], found["path"]
    held, known = _follow(value, path)
    remedy = next((f"; {each}" for word, each in _REMEDIES.items() if word in what), "")
    where = path.lstrip(".") or "it"
    return f"{where} is {_shown(held)}: {what}{remedy}" if known else f"{where}: {what}{remedy}"


def _follow(value: Any, path: str) -> tuple[Any, bool]:
    """What stands at the path, and whether it could be followed; of a mapping's entries the path does not say which."""
    if value is msgspec.UNSET:
        return None, False
    for name, place in _STEP.findall(path):
        if place == "...":
            return value, True
        try:
            value = value[name or int(place)]
        except (KeyError, IndexError, TypeError):
            return None, False
    return value, True


def _shown(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, msgspec.MsgspecError, UnicodeEncodeError):
        text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
