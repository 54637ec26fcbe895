"""The bundle in use, which may change while the worker runs: it follows ``STREAMPROC_BUNDLE`` where that points.

A link there is what operators move, once for all workers (see :mod:`~streamproc.inference.release`). Every few seconds
a worker looks whether it leads to another bundle, opens that beside the one in use, asks Triton for its models, and
changes over between two batches. What cannot be used is reported and waited for, and work goes on with what there is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog
from prometheus_client import Gauge

from streamproc.config import Settings
from streamproc.errors import GraphMismatchError, StreamprocError
from streamproc.inference.backend import configured_bundle, load_bundle
from streamproc.inference.bundle import Bundle
from streamproc.inference.manifest import MANIFEST_FILE
from streamproc.inference.protocols import Encoded, Models
from streamproc.observability.clock import Clock
from streamproc.observability.metrics import REGISTRY
from streamproc.pipeline.outcome import Outcome, SourcedNote
from streamproc.streams.tagging import NoteTagger

__all__ = ["LOOK_SECONDS", "Probe", "Release", "Releases"]

log = structlog.get_logger(__name__)

_Fingerprint = tuple[str, bytes, bytes]

LOOK_SECONDS = 5.0
"""How soon a worker notices another release; to look costs two system calls."""

WAITING = Gauge(
    "streamproc_release_waiting",
    "1 while STREAMPROC_BUNDLE leads to a bundle that this worker cannot use yet, so that it goes on with another.",
    registry=REGISTRY,
)


class Probe(Protocol):
    """Asks the server of the models, where there is one."""

    async def check(self) -> None:
        """Return if it serves the bundle's models.

        Raises:
            TransientError: it does not.
        """
        ...


@dataclass
class Release:
    """A bundle with everything that was opened for it.

    Attributes:
        bundle: verified.
        models: its models.
        pipeline: tags with them.
        probe: of the server that the models are on; None where they run in this process.
        close: gives back what is held.
    """

    bundle: Bundle
    models: Models
    pipeline: NoteTagger
    probe: Probe | None
    close: Callable[[], Awaitable[None]]
    users: int = field(default=0, init=False)
    retired: bool = field(default=False, init=False)


class Releases:
    """Tags, embeds and probes with the bundle in use; one batch never meets two bundles.

    Implements :class:`~streamproc.streams.tagging.NoteTagger`, the Protocol ``Encoder`` and, where the models are on a
    server, a :class:`~streamproc.streams.breaker.Dependency`.

    Args:
        settings: where the bundle is.
        first: what the worker starts with.
        opening: opens another bundle.
        clock: the source of time.
    """

    name = "Triton"

    def __init__(
        self, settings: Settings, first: Release, opening: Callable[[Bundle], Release], clock: Clock
    ) -> None:
        self._settings = settings
        self._current = first
        self._opening = opening
        self._clock = clock
        self._seen = _fingerprint(first.bundle.path, settings.calibration)
        self._reported: set[str] = set()
        self.dimension = first.models.encoder.dimension
        self.weights_hash = first.models.encoder.weights_hash
        WAITING.set(0)

    @property
    def bundle(self) -> Bundle:
        """The one in use."""
        return self._current.bundle

    async def tag(self, notes: Sequence[SourcedNote]) -> list[Outcome]:
        """Give the outcome of each note, in order."""
        async with self._using() as release:
            return await release.pipeline.tag(notes)

    async def encode(self, texts: Sequence[str]) -> Encoded:
        """Vectors of the texts, in their order."""
        async with self._using() as release:
            return await release.models.encoder.encode(texts)

    async def check(self) -> None:
        """Return if the server has the models in use.

        Raises:
            TransientError: it has not.
        """
        async with self._using() as release:
            if release.probe is not None:
                await release.probe.check()

    async def watch(self) -> None:
        """Look for another release until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (StreamprocError, OSError) as error:
                self._report(str(error))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with another bundle, this one works
                self._report(repr(error))

    async def look(self) -> None:
        """Change over if the settings lead to another bundle now.

        Raises:
            UserError: that bundle cannot be used.
            TransientError: its models are not served yet.
        """
        settings = self._settings
        # Taken before the bundle is read: what changes meanwhile is seen the next time.
        found = await asyncio.to_thread(_fingerprint, configured_bundle(settings), settings.calibration)
        if found == self._seen:
            WAITING.set(0)
            return
        bundle = await asyncio.to_thread(load_bundle, settings)
        if bundle.manifest.encoder.float_sha256 != self.weights_hash:
            raise GraphMismatchError(
                f"{bundle.path} has another encoder than the graph that this worker uses; embed the graph anew with "
                f"`streamproc graph reembed --bundle {bundle.path}`, then restart the workers with it"
            )
        release = await asyncio.to_thread(self._opening, bundle)
        try:
            if release.probe is not None:
                await release.probe.check()
        except BaseException:
            await release.close()
            raise
        await self._change_to(release, found)

    async def close(self) -> None:
        """Give back what the release in use holds."""
        await self._current.close()

    async def _change_to(self, release: Release, seen: _Fingerprint) -> None:
        former, self._current = self._current, release
        self._seen = seen
        self._reported.clear()
        WAITING.set(0)
        log.info(
            "changed over to another bundle",
            before=_name(former.bundle),
            now=_name(release.bundle),
            path=str(release.bundle.path),
        )
        former.retired = True
        await _let_go_when_unused(former)

    @contextlib.asynccontextmanager
    async def _using(self) -> AsyncIterator[Release]:
        release = self._current
        release.users += 1
        try:
            yield release
        finally:
            release.users -= 1
            await _let_go_when_unused(release)

    def _report(self, reason: str) -> None:
        WAITING.set(1)
        if reason not in self._reported:
            self._reported.add(reason)
            log.warning("another bundle is wanted but cannot be used; work goes on", reason=reason)


async def _let_go_when_unused(release: Release) -> None:
    if not release.retired or release.users:
        return
    try:
        await release.close()
    except Exception as error:  # noqa: BLE001 - a batch that is done must not fail of what it leaves behind
        log.warning("a bundle that is no longer used could not be closed", reason=repr(error))


def _name(bundle: Bundle) -> str:
    return f"{bundle.manifest.name}-{bundle.manifest.version}"


def _fingerprint(bundle: Path, calibration: Path | None) -> _Fingerprint:
    """What tells one release from another: where it is, its manifest with the hashes of all its files, its map."""
    map_file = b"" if calibration is None else calibration.expanduser().read_bytes()
    return str(bundle), (bundle / MANIFEST_FILE).read_bytes(), map_file
