"""What came back for one question, and what it cost."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

__all__ = ["Reply", "ReplyStatus", "Usage", "read_reply"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counts them; zero where it does not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens
        )

    @property
    def tokens(self) -> int:
        """Of question and answer together."""
        return self.prompt_tokens + self.completion_tokens


class ReplyStatus(StrEnum):
    """How an answer ended."""

    COMPLETE = "complete"
    CUT = "cut"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        status: whether it is one.
        text: of the answer, or the reason of a refusal where one was given.
        usage: what it cost.
    """

    status: ReplyStatus
    text: str
    usage: Usage


class _Part(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


def read_reply(body: bytes) -> Reply | None:
    """Read the body of a chat completion; None: it is none."""
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not completion.choices:
        return None
    counted = completion.usage or _Usage()
    usage = Usage(counted.prompt_tokens or 0, counted.completion_tokens or 0)
    choice = completion.choices[0]
    content = choice.message.content
    text = "".join(part.text or "" for part in content) if isinstance(content, list) else content or ""
    if choice.message.refusal:
        return Reply(ReplyStatus.REFUSED, choice.message.refusal, usage)
    if choice.finish_reason == "content_filter":
        return Reply(ReplyStatus.REFUSED, "withheld by a content filter", usage)
    status = ReplyStatus.CUT if choice.finish_reason == "length" else ReplyStatus.COMPLETE
    return Reply(status, text, usage)
