"""What an operator asks of a Triton server: which versions it serves, and to load what its repository holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc.aio import InferenceServerClient  # type: ignore[import-untyped]
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from streamproc.config import Settings
from streamproc.errors import BundleError, DependencyDownError, SettingsError
from streamproc.inference.triton_connection import TRITON, identities

__all__ = ["TritonControl", "Version", "triton_control"]

_LOAD_SECONDS = 1200.0
"""A TensorRT engine is built in minutes where none is in the cache yet."""

_REASON_CHARACTERS = 300

_NO_CONTROL = "explicit model load"
"""How Triton begins its answer where it was not started with ``--model-control-mode=explicit``."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one model in a server's repository.

    Attributes:
        model: its name.
        number: of the version.
        ready: whether it answers requests.
        state: Triton's own word for it, and the reason where it gives one.
        identity: what it holds; empty where nothing says so.
    """

    model: str
    number: int
    ready: bool
    state: str
    identity: str


class TritonControl:
    """The control side of one server; open it with :func:`triton_control`."""

    def __init__(self, settings: Settings, client: Any) -> None:
        self._settings = settings
        self._client = client
        self._headers = {"authorization": f"Bearer {settings.triton_token}"} if settings.triton_token else {}

    async def versions(self) -> list[Version]:
        """Every version that the server knows, by model and number.

        Raises:
            DependencyDownError: it does not answer.
        """
        limits = {"headers": self._headers, "client_timeout": self._settings.triton_timeout_seconds}
        try:
            index = await self._client.get_model_repository_index(**limits)
            # A model that has never been loaded has no version yet.
            known = [each for each in index.models if each.version]
            held = {}
            for model in {each.name for each in known if each.state == "READY"}:
                answer = await self._client.get_model_config(model, **limits)
                held[model] = identities(answer.config)
        except InferenceServerException as error:
            raise self._down(error) from error
        return sorted(
            (
                Version(
                    each.name,
                    int(each.version),
                    each.state == "READY",
                    _state(each.state, each.reason),
                    held.get(each.name, {}).get(each.version, ""),
                )
                for each in known
            ),
            key=lambda version: (version.model, version.number),
        )

    async def load(self, model: str) -> None:
        """Load a model anew from the repository; versions that are served go on being served meanwhile.

        Raises:
            SettingsError: the server does not let itself be told what to load.
            BundleError: it cannot load the model; its reason is in the message.
            DependencyDownError: it does not answer.
        """
        try:
            await self._client.load_model(model, headers=self._headers, client_timeout=_LOAD_SECONDS)
        except InferenceServerException as error:
            if _NO_CONTROL in error.message():
                raise SettingsError(
                    f"Triton at {self._settings.triton_url} loads nothing on request: start it with "
                    "--model-control-mode=explicit --load-model=*"
                ) from error
            if error.status() == "StatusCode.UNAVAILABLE":
                raise self._down(error) from error
            raise BundleError(
                f"Triton at {self._settings.triton_url} cannot load {model}: {error.message()}"
            ) from error

    def _down(self, error: InferenceServerException) -> DependencyDownError:
        return DependencyDownError(TRITON, f"{error.message()} ({self._settings.triton_url})")


def _state(state: str, reason: str) -> str:
    # A reason may be a traceback; its beginning says what is wrong.
    line = " ".join(reason.split())[:_REASON_CHARACTERS]
    return f"{state}: {line}" if line else state


@asynccontextmanager
async def triton_control(settings: Settings) -> AsyncIterator[TritonControl]:
    """Connect to the server that the settings name.

    Args:
        settings: address, credentials and time-out.

    Raises:
        SettingsError: the file of the certificate authority cannot be read.
    """
    ca_file = settings.triton_ca_file
    try:
        client = InferenceServerClient(
            settings.triton_url, ssl=settings.triton_tls or ca_file is not None, root_certificates=ca_file
        )
    except OSError as error:
        raise SettingsError(
            f"STREAMPROC_TRITON_CA_FILE = {ca_file} cannot be read: {error.strerror}"
        ) from error
    try:
        yield TritonControl(settings, client)
    finally:
        await client.close()
