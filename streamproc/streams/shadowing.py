"""The shadow of a worker: its models, and the topic its findings go to."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from streamproc.config import Inference, Settings
from streamproc.errors import SettingsError, StreamprocError
from streamproc.events.codec import encode
from streamproc.events.headers import output_headers
from streamproc.events.position import Source
from streamproc.events.record import OutputRecord
from streamproc.events.shadow import NoteShadow
from streamproc.events.topics import TopicNames
from streamproc.inference.bundle import Bundle
from streamproc.inference.protocols import Models
from streamproc.pipeline.policy import Policy
from streamproc.pipeline.shadow import Shadow, ShadowModels
from streamproc.pipeline.tagging import model_versions
from streamproc.streams.publisher import Publisher

__all__ = ["RunningShadow", "ShadowTopic", "open_shadow"]


class ShadowTopic:
    """Sends findings to ``notes.shadow``, on a connection of its own: trouble on it is nobody else's.

    Args:
        settings: how to connect.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = TopicNames(settings.topic_prefix).notes_shadow
        self._publisher: Publisher | None = None

    async def publish(self, findings: Sequence[tuple[Source, NoteShadow]]) -> None:
        """Send and confirm.

        Raises:
            StreamprocError: Kafka did not take them; the next call connects anew.
        """
        try:
            if self._publisher is None:
                self._publisher = await Publisher(self._settings, [self._topic]).__aenter__()
            for source, finding in findings:
                await self._publisher.send(
                    OutputRecord(
                        self._topic,
                        finding.note_id.encode(),
                        encode(finding),
                        output_headers("notes.shadow", source, finding.shadow.bundle),
                    )
                )
            await self._publisher.flush()
        except StreamprocError:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            # What is still on its way is given up: whoever closes has seen the failure, or does not care any more.
            abandoned = StreamprocError("closed")
            await publisher.__aexit__(type(abandoned), abandoned, None)


class RunningShadow:
    """A shadow with its task; made inside the event loop that it runs in.

    Args:
        shadow: compares.
        release: gives back what it holds, after its end.
    """

    def __init__(self, shadow: Shadow, release: Callable[[], Awaitable[None]]) -> None:
        self.shadow = shadow
        self._release = release
        self._task = asyncio.create_task(shadow.run(), name="shadow")

    async def close(self) -> None:
        """End it; what waits is forgotten."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._release()


async def open_shadow(settings: Settings, live: Bundle) -> RunningShadow | None:
    """The shadow that the settings ask for; None where they ask for none.

    Args:
        settings: the bundle under trial and its share of the notes.
        live: the bundle whose decisions count.

    Raises:
        SettingsError: the bundle under trial reads other candidates or evidence than the live one.
        BundleError: it is incomplete or was altered.
    """
    if settings.shadow_bundle is None or settings.shadow_share == 0:
        return None
    bundle = await asyncio.to_thread(Bundle.load, settings.shadow_bundle.expanduser().resolve())
    _require_same_material(live, bundle)
    models = await asyncio.to_thread(_opened, settings, bundle)
    topic = ShadowTopic(settings)

    async def release() -> None:
        await topic.close()
        await models.close()

    trial = ShadowModels(models.tagger, models.calibrator, model_versions(bundle.manifest, models))
    return RunningShadow(Shadow(trial, Policy.of(settings), settings.shadow_share, topic.publish), release)


def _require_same_material(live: Bundle, shadow: Bundle) -> None:
    ours, theirs = live.manifest, shadow.manifest
    if ours.encoder.float_sha256 != theirs.encoder.float_sha256:
        raise SettingsError(
            f"STREAMPROC_SHADOW_BUNDLE = {shadow.path} has another encoder than the bundle in use: it would recall other "
            "candidates from another graph, and cannot be compared note by note"
        )
    if ours.tagger is None or theirs.tagger is None or ours.tagger.features != theirs.tagger.features:
        raise SettingsError(
            f"STREAMPROC_SHADOW_BUNDLE = {shadow.path} has no tagger, or one that reads other evidence than this version "
            "of streamproc gathers"
        )


def _opened(settings: Settings, bundle: Bundle) -> Models:
    if settings.inference is Inference.TRITON:
        from streamproc.inference.triton import load_triton_models  # noqa: PLC0415 - only those who use it pay

        # One request at a time: the trial must not fill the queues that live traffic waits in.
        return load_triton_models(settings.model_copy(update={"triton_concurrency": 1}), bundle)
    from streamproc.inference.onnx import load_models  # noqa: PLC0415

    return load_models(bundle, threads=1)
