"""Where a language model is reached."""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streamproc.errors import SettingsError

__all__ = ["KEY_VARIABLE", "Endpoint"]

KEY_VARIABLE = "STREAMPROC_LLM_KEY"
"""The environment variable that holds the key, unless another is named."""

_PATH = "/chat/completions"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint and a model it serves.

    Attributes:
        url: its base, such as ``https://models.example/v1``, without a slash at the end.
        model: the model's name there.
        key: sent as a bearer token; empty: none is sent.
        key_variable: the environment variable that the key came from, to be named where it is rejected.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    key_variable: str = KEY_VARIABLE

    @classmethod
    def of(cls, url: str, model: str, key_variable: str = KEY_VARIABLE) -> "Endpoint":
        """The endpoint at a base URL (or at that of its chat completions), with the environment's key.

        Raises:
            SettingsError: the URL, the model or the key cannot be used.
        """
        base = url.strip().rstrip("/").removesuffix(_PATH)
        try:
            parts = urlsplit(base)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if usable and "@" in parts.netloc:
            raise SettingsError(
                f"the URL of a language model must hold no user and no key: put it into {key_variable}"
            )
        if not usable or parts.query or parts.fragment or not _is_plain(base):
            raise SettingsError(f"{url!r} is no base URL of a language model: use https://HOST/v1")
        if not model.strip():
            raise SettingsError("the language model needs a name: the one that its endpoint knows it by")
        key = os.environ.get(key_variable, "").strip()
        if not key.isascii() or not key.isprintable():
            raise SettingsError(f"{key_variable} holds characters that no key has: copy the key anew")
        return cls(base, model.strip(), key, key_variable)

    @property
    def completions_url(self) -> str:
        """Where questions are posted."""
        return self.url + _PATH


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
