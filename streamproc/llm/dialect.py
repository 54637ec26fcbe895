"""What an endpoint understands of the protocol, learned from what it rejects.

Compatible servers differ: some know JSON schemas, some only JSON objects, some neither; newer models take
``max_completion_tokens`` and no temperature. The fullest form is tried first.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec

from streamproc.llm.endpoint import Endpoint
from streamproc.llm.prompt import AnswerForm, Message, Text

__all__ = ["Dialect", "Structure"]


class Structure(StrEnum):
    """How the form of an answer is asked for."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    TEXT = "text"


_LESS = {Structure.JSON_SCHEMA: Structure.JSON_OBJECT, Structure.JSON_OBJECT: Structure.TEXT}

_WORDS_OF_STRUCTURE = ("response_format", "json_schema", "json_object", "json schema", "grammar", "guided")

_WORDS_OF_SYSTEM = ("system role", "system message", "role 'system'", 'role "system"')


class _Request(msgspec.Struct, frozen=True, omit_defaults=True):
    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    response_format: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to word a request.

    Attributes:
        structure: how the form of the answer is asked for.
        temperature: whether temperature 0 is asked for.
        old_limit: whether the answer's length is limited by ``max_tokens`` (or ``max_completion_tokens``).
        system: whether there is a turn of the system; else its words stand before the user's.
    """

    structure: Structure = Structure.JSON_SCHEMA
    temperature: bool = True
    old_limit: bool = True
    system: bool = True

    def request(
        self, endpoint: Endpoint, messages: tuple[Message, ...], form: AnswerForm, max_tokens: int
    ) -> bytes:
        """The request's body."""
        return msgspec.json.encode(
            _Request(
                model=endpoint.model,
                messages=messages if self.system else _without_system(messages),
                temperature=0.0 if self.temperature else None,
                max_tokens=max_tokens if self.old_limit else None,
                max_completion_tokens=None if self.old_limit else max_tokens,
                response_format=self._format(form),
            )
        )

    def after(self, rejection: str) -> "Dialect | None":
        """What to try after the endpoint rejected a request with these words; None: the wording was not at fault."""
        words = rejection.lower()
        if self.old_limit and "max_completion_tokens" in words:
            return replace(self, old_limit=False)
        if self.temperature and "temperature" in words:
            return replace(self, temperature=False)
        if self.system and any(word in words for word in _WORDS_OF_SYSTEM):
            return replace(self, system=False)
        less = _LESS.get(self.structure)
        if less and any(word in words for word in _WORDS_OF_STRUCTURE):
            return replace(self, structure=less)
        return None

    def _format(self, form: AnswerForm) -> dict[str, Any] | None:
        if self.structure is Structure.JSON_SCHEMA:
            described = {"name": form.name, "strict": True, "schema": form.schema}
            return {"type": "json_schema", "json_schema": described}
        if self.structure is Structure.JSON_OBJECT:
            return {"type": "json_object"}
        return None


def _without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    system, user, *later = messages
    before = f"{system.content}\n\n"
    content = user.content
    joined = before + content if isinstance(content, str) else (Text(before), *content)
    return Message("user", joined), *later
