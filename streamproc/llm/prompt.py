"""A question as it is put to a language model."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from streamproc.llm.endpoint import Endpoint

__all__ = ["IMAGE_TOKENS", "AnswerForm", "Image", "ImageUrl", "Message", "Prompt", "Text"]

IMAGE_TOKENS = 765
"""What an image is reckoned at: a square one of 1,024 pixels at OpenAI's high detail; others count otherwise."""

# English has four to five characters a token; other languages and JSON fewer.
_CHARS_PER_TOKEN = 4


class Text(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """A part of a message that is read."""

    text: str


class ImageUrl(msgspec.Struct, frozen=True):
    """The address of an image, ``http(s):`` or ``data:``."""

    url: str


class Image(msgspec.Struct, frozen=True, tag_field="type", tag="image_url"):
    """A part of a message that is looked at."""

    image_url: ImageUrl


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation; plain text unless it carries images, which some servers do not know."""

    role: Literal["system", "user", "assistant"]
    content: str | tuple[Text | Image, ...]


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The form that an answer is asked for in.

    Attributes:
        name: letters, digits, underscores.
        schema: JSON Schema, of the subset that strict structured output knows: every property required,
            no additional ones, no limits on values.
    """

    name: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question that can be asked on its own.

    Attributes:
        version: of the template; part of the cache's key.
        system: what the model is and does.
        user: the case at hand.
        images: addresses of images to look at.
        form: of the answer.
        max_tokens: how long the answer may be.
    """

    version: str
    system: str
    user: str
    form: AnswerForm
    images: tuple[str, ...] = ()
    max_tokens: int = 4096

    def messages(self) -> tuple[Message, ...]:
        """The conversation up to the answer."""
        content: str | tuple[Text | Image, ...] = self.user
        if self.images:
            content = (Text(self.user), *(Image(ImageUrl(url)) for url in self.images))
        return Message("system", self.system), Message("user", content)

    def key(self, endpoint: Endpoint) -> str:
        """Hex SHA-256 of everything that a whole answer depends on."""
        asked = (
            endpoint.url,
            endpoint.model,
            self.version,
            self.messages(),
            self.form.name,
            self.form.schema,
        )
        return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()

    @property
    def reckoned_tokens(self) -> int:
        """About how many tokens the question has, reckoned by its characters and images."""
        characters = len(self.system) + len(self.user)
        return characters // _CHARS_PER_TOKEN + len(self.images) * IMAGE_TOKENS
