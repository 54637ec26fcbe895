"""One connection to a Triton server: versions found by their weights, deadlines, retries, and what failures mean.

==================================  ==============================================================
Triton says                         the caller gets
==================================  ==============================================================
nothing is listening                :class:`DependencyDownError`: intake waits, no attempt counts
no version holds the right weights  the same; so is a pinned version that is not served
its queue is full                   another attempt after a pause, until the time is over; then the same
no answer in time                   :class:`DeadlineError`
a failure inside the server         :class:`TransientError`
the token is refused                :class:`SettingsError`
the tensors are refused             :class:`BundleError`: repository and bundle do not belong together
==================================  ==============================================================
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Never

import numpy as np
import numpy.typing as npt
from prometheus_client import Counter
from tritonclient.grpc import InferInput  # type: ignore[import-untyped]
from tritonclient.grpc.aio import InferenceServerClient  # type: ignore[import-untyped]
from tritonclient.utils import (  # type: ignore[import-untyped]
    InferenceServerException,
    np_to_triton_dtype,
)

from streamproc.config import Settings
from streamproc.errors import (
    BundleError,
    DeadlineError,
    DependencyDownError,
    SettingsError,
    StreamprocError,
    TransientError,
)
from streamproc.grpc_options import RECONNECT
from streamproc.inference.model_repository import IDENTITY, ServedModel
from streamproc.inference.protocols import Float32
from streamproc.observability.metrics import REGISTRY

__all__ = ["REJECTIONS", "TRITON", "TritonConnection", "identities"]

TRITON = "Triton"
"""How errors and the circuit breaker call this dependency."""

# Triton counts a request that found the queue full in none of its own failure metrics.
REJECTIONS = Counter(
    "streamproc_triton_rejections",
    "Requests that Triton refused because the queue of the model was full.",
    ["model"],
    registry=REGISTRY,
)

# A replica may be replaced between two requests, unnoticed by either.
_VERIFIED_SECONDS = 10.0

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0

_CHANNEL = (
    *RECONNECT.items(),
    # A machine that vanishes closes no connection: without pings, requests would go into it for minutes.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # The default of 4 MB is met by a thousand rows of a wide model.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)

# Retried: Triton answers these before it has begun. CANCELLED comes from a server that is shutting down.
_UNAVAILABLE = frozenset({"StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND", "StatusCode.CANCELLED"})
_REFUSED_TOKEN = frozenset({"StatusCode.UNAUTHENTICATED", "StatusCode.PERMISSION_DENIED"})
_REFUSED_REQUEST = frozenset(
    {"StatusCode.INVALID_ARGUMENT", "StatusCode.OUT_OF_RANGE", "StatusCode.UNIMPLEMENTED"}
)
_TOO_LATE = "StatusCode.DEADLINE_EXCEEDED"


class TritonConnection:
    """A channel to one address; belongs to the event loop that first uses it.

    It survives the server: when that is back, so is the connection. Before the first request, after every
    failure to reach the server, and every few seconds, it looks which version of each model holds the weights of
    the bundle (the newest, if several do) and is ready; only that one is asked. So a client needs no number from
    anybody, other versions come and go beside it, and vectors of two encoders are never mixed.

    Args:
        settings: address, credentials, time-out, concurrency, and a pinned version where one is wanted.
        models: what the bundle expects to be served.
    """

    name = TRITON

    def __init__(self, settings: Settings, models: Sequence[ServedModel]) -> None:
        self._settings = settings
        _require_readable(settings.triton_ca_file)
        self._models = {model.name: model for model in models}
        for name in self._models:
            REJECTIONS.labels(name)  # at 0 from the first scrape on: a rate misses what a series is born with
        self._pinned = str(settings.triton_model_version or "")
        self._versions: dict[str, str] = {}
        self._headers = {"authorization": f"Bearer {settings.triton_token}"} if settings.triton_token else {}
        self._client: Any = None
        self._slots = asyncio.Semaphore(settings.triton_concurrency)
        self._verifying = asyncio.Lock()
        self._verified_until = 0.0
        self._chance = random.Random()  # noqa: S311 - jitter, not a secret

    async def infer(self, model: str, inputs: Mapping[str, npt.NDArray[Any]]) -> Float32:
        """One request to a model.

        Args:
            model: its name.
            inputs: name → array[rows, width].

        Returns:
            float32[rows, output_width].

        Raises:
            DependencyDownError: the server, or a fitting version, cannot be had; or its queue stayed full.
            DeadlineError: no answer within ``triton_timeout_seconds``.
            TransientError: the server failed at this request.
            SettingsError: the server refuses the token.
            BundleError: the server refuses the tensors.
        """
        async with self._slots:
            deadline = time.monotonic() + self._settings.triton_timeout_seconds
            refusals = 0
            while True:
                await self._ensure_verified()
                try:
                    return await self._attempt(model, inputs, deadline - time.monotonic())
                except InferenceServerException as error:
                    if error.status() not in _UNAVAILABLE:
                        self._fail(error, model)
                    refusal = error.message()
                # No server, no such version, or a full queue? Only the last of them passes this.
                self._verified_until = 0.0
                await self._ensure_verified()
                REJECTIONS.labels(model).inc()
                refusals += 1
                pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**refusals)
                pause *= self._chance.uniform(0.5, 1.0)
                if time.monotonic() + pause >= deadline:
                    raise DependencyDownError(TRITON, f"{model} refused {refusals} attempts: {refusal}")
                await asyncio.sleep(pause)

    async def check(self) -> None:
        """Return if every model is served with the bundle's weights and answers a small request.

        Raises:
            TransientError: one does not.
            SettingsError: the server refuses the token.
        """
        self._verified_until = 0.0
        await self._ensure_verified()
        await asyncio.gather(*(self._probe(model) for model in self._models.values()))

    async def close(self) -> None:
        """Close the channel; requests under way fail."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _probe(self, model: ServedModel) -> None:
        """A request of one row: a model that is too slow for it is as good as down."""
        # The shortest bucket: TensorRT would build an engine for a shape of its own.
        length = model.sequence_buckets[0] if model.sequence_buckets else 0
        inputs = {
            name: np.ones(
                (1, *(length if size < 0 else size for size in dimensions)),
                np.int64 if data_type == "TYPE_INT64" else np.float32,
            )
            for name, (data_type, dimensions) in model.inputs.items()
        }
        try:
            await self._attempt(model.name, inputs, self._settings.triton_timeout_seconds)
        except InferenceServerException as error:
            if error.status() in _UNAVAILABLE:
                raise DependencyDownError(TRITON, f"{model.name}: {error.message()}") from error
            self._fail(error, model.name)

    async def _attempt(self, model: str, inputs: Mapping[str, npt.NDArray[Any]], seconds: float) -> Float32:
        served = self._models[model]
        tensors = []
        for name, values in inputs.items():
            tensor = InferInput(name, values.shape, np_to_triton_dtype(values.dtype))
            tensor.set_data_from_numpy(values)
            tensors.append(tensor)
        seconds = max(seconds, 0.001)
        result = await self._connected().infer(
            model,
            tensors,
            model_version=self._versions[model],
            client_timeout=seconds,
            timeout=int(seconds * 1e6),  # the queue drops what waited longer than its caller
            headers=self._headers,
        )
        rows = len(next(iter(inputs.values())))
        output = result.as_numpy(served.output)
        if output is None or output.shape != (rows, served.output_width) or output.dtype != np.float32:
            found = "nothing" if output is None else f"{output.dtype}{list(output.shape)}"
            raise DependencyDownError(
                TRITON,
                f"{model} answers {found} where float32[{rows}, {served.output_width}] is expected; "
                "a python backend with an unfit version of numpy does that",
            )
        answer: Float32 = output
        return answer

    async def _ensure_verified(self) -> None:
        if time.monotonic() < self._verified_until:
            return
        async with self._verifying:
            if time.monotonic() >= self._verified_until:
                await asyncio.gather(*(self._verify(model) for model in self._models.values()))
                self._verified_until = time.monotonic() + _VERIFIED_SECONDS

    async def _verify(self, model: ServedModel) -> None:
        client = self._connected()
        limits = {"headers": self._headers, "client_timeout": self._settings.triton_timeout_seconds}
        try:
            if not await client.is_model_ready(model.name, self._pinned, **limits):
                raise await self._missing_version(model.name)
            answer = await client.get_model_config(model.name, self._pinned, **limits)
            served = identities(answer.config)
            fitting = _fitting(served, model, self._pinned)
            for version in fitting:
                if await client.is_model_ready(model.name, version, **limits):
                    self._versions[model.name] = version
                    return
            if fitting:
                raise await self._missing_version(model.name)
        except InferenceServerException as error:
            if error.status() == "StatusCode.NOT_FOUND":
                raise await self._missing_version(model.name) from error
            if error.status() in _UNAVAILABLE:
                raise DependencyDownError(
                    TRITON, f"{error.message()} ({self._settings.triton_url})"
                ) from error
            self._fail(error, model.name)
        newest = self._pinned or max(served, key=int, default="")
        raise DependencyDownError(
            TRITON,
            f"its {model.name} {newest} holds {served.get(newest) or 'weights without a name'}, the bundle "
            f"{model.identity}; load the bundle with `streamproc models load`, or serve a repository that "
            "`streamproc export triton` made of it",
        )

    async def _missing_version(self, model: str) -> DependencyDownError:
        limits = {"headers": self._headers, "client_timeout": self._settings.triton_timeout_seconds}
        try:
            index = await self._connected().get_model_repository_index(**limits)
        except InferenceServerException as error:
            return DependencyDownError(TRITON, f"{error.message()} ({self._settings.triton_url})")
        ready = [each.version for each in index.models if each.name == model and each.state == "READY"]
        wanted = f"{model} version {self._pinned}" if self._pinned else model
        remedy = "load it, or let STREAMPROC_TRITON_MODEL_VERSION be 0" if self._pinned else "load it"
        return DependencyDownError(
            TRITON, f"{wanted} is not served there (ready: {', '.join(ready) or 'none'}); {remedy}"
        )

    def _fail(self, error: InferenceServerException, model: str) -> Never:
        raise _meaning(error, model, self._settings) from error

    def _connected(self) -> Any:
        if self._client is None:
            ca_file = self._settings.triton_ca_file
            self._client = InferenceServerClient(
                self._settings.triton_url,
                ssl=self._settings.triton_tls or ca_file is not None,
                root_certificates=ca_file,
                channel_args=_CHANNEL,
            )
        return self._client


def _require_readable(ca_file: Path | None) -> None:
    try:
        if ca_file is not None:
            ca_file.open("rb").close()
    except OSError as error:
        raise SettingsError(
            f"STREAMPROC_TRITON_CA_FILE = {ca_file} cannot be read: {error.strerror}"
        ) from None


def identities(config: Any) -> dict[str, str]:
    """What each version of a served model holds: version → identity, as its repository's generator wrote them.

    Args:
        config: Triton's ``ModelConfig``.
    """
    named = ((name.partition("."), value.string_value) for name, value in config.parameters.items())
    return {version: identity for (parameter, _, version), identity in named if parameter == IDENTITY}


def _fitting(served: Mapping[str, str], model: ServedModel, pinned: str) -> list[str]:
    """The versions that hold the model's weights, the newest first."""
    fitting = [version for version, identity in served.items() if identity == model.identity]
    return sorted((each for each in fitting if pinned in {"", each}), key=int, reverse=True)


def _meaning(error: InferenceServerException, model: str, settings: Settings) -> StreamprocError:
    """The error of ours that an answer, other than UNAVAILABLE, stands for."""
    status, said = error.status(), error.message()
    if status == _TOO_LATE:
        return DeadlineError(
            f"Triton's {model} gave no answer within {settings.triton_timeout_seconds:g} s "
            "(STREAMPROC_TRITON_TIMEOUT_SECONDS)"
        )
    if status in _REFUSED_TOKEN:
        return SettingsError(f"Triton at {settings.triton_url} refuses STREAMPROC_TRITON_TOKEN: {said}")
    if status in _REFUSED_REQUEST:
        return BundleError(
            f"Triton's {model} refuses the request ({said}): model repository and bundle do not belong "
            "together, run `streamproc export triton` again"
        )
    return TransientError(f"Triton's {model} failed: {said} ({status})")
