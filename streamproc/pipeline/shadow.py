"""Shadow mode: a second bundle's models judge a share of the notes over the same candidates, to no effect.

It runs beside the pipeline, never in its way: what it is offered waits in a short queue, and is dropped and counted
while it is behind; whatever fails in it is counted and forgotten.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import structlog
from prometheus_client import Counter, Histogram

from streamproc.events.position import Source
from streamproc.events.shadow import NoteShadow, TagDifference
from streamproc.events.tagged import ModelVersions
from streamproc.inference.protocols import Calibrator, Tagger
from streamproc.observability.metrics import REGISTRY
from streamproc.pipeline.judged import JudgedNote, scored
from streamproc.pipeline.policy import Policy, decide

__all__ = ["MOVED", "Publish", "Shadow", "ShadowModels", "is_shadowed"]

log = structlog.get_logger(__name__)

MOVED = 0.02
"""The least change of an emitted tag's confidence that counts: what two profiles of one bundle may differ by."""

_QUEUE_NOTES = 1024
"""Notes that wait, a few batches' worth: enough for a burst, little to hold in memory."""

NOTES = Counter(
    "streamproc_shadow_notes",
    "Notes of the shadow's share: same, different; or failed, or dropped because the shadow was behind.",
    ["result"],
    registry=REGISTRY,
)
TAGS = Counter(
    "streamproc_shadow_tags",
    "Tags that only the shadow emits (added), only the live models emit (removed), or that moved in confidence.",
    ["change"],
    registry=REGISTRY,
)
CHANGE = Histogram(
    "streamproc_shadow_confidence_change_ratio",
    "Absolute change of a candidate's confidence, where either emits it.",
    buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    registry=REGISTRY,
)
SECONDS = Histogram(
    "streamproc_shadow_note_seconds",
    "Time of tagger and calibrator for a note of the shadow's share: its part of its batch.",
    ["models"],
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 10),
    registry=REGISTRY,
)

Publish = Callable[[Sequence[tuple[Source, NoteShadow]]], Awaitable[None]]
"""Sends the differences of a batch."""


@dataclass(frozen=True, slots=True)
class ShadowModels:
    """The models under trial.

    Attributes:
        tagger: their tagger.
        calibrator: their calibrator.
        versions: recorded beside those of the live models.
    """

    tagger: Tagger
    calibrator: Calibrator
    versions: ModelVersions


def is_shadowed(note_id: str, share: float) -> bool:
    """Whether a note belongs to the share: the same notes on every worker, every time.

    Args:
        note_id: the note.
        share: of all notes, 0 to 1.
    """
    digest = hashlib.sha256(note_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2.0**64


@dataclass(frozen=True, slots=True)
class _Offered:
    notes: tuple[JudgedNote, ...]
    live_seconds: float


class Shadow:
    """Compares; implements :class:`~streamproc.pipeline.judged.Observer`.

    Args:
        models: under trial.
        policy: by which both decide.
        share: of the notes.
        publish: given what differs.
    """

    def __init__(self, models: ShadowModels, policy: Policy, share: float, publish: Publish) -> None:
        self._models = models
        self._policy = policy
        self._share = share
        self._publish = publish
        self._waiting: deque[_Offered] = deque()
        self._waiting_notes = 0
        self._more = asyncio.Event()
        self._told = ""

    def offer(self, judged: Sequence[JudgedNote], seconds_a_note: float) -> None:
        """Put the notes of the share into the queue; drop and count them while it is full."""
        notes = tuple(each for each in judged if is_shadowed(each.note_id, self._share))
        if not notes:
            return
        if self._waiting_notes + len(notes) > _QUEUE_NOTES:
            NOTES.labels("dropped").inc(len(notes))
            return
        self._waiting.append(_Offered(notes, seconds_a_note))
        self._waiting_notes += len(notes)
        self._more.set()

    async def run(self) -> None:
        """Compare what is offered until cancelled; nothing that goes wrong here gets out."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                offered = self._waiting.popleft()
                try:
                    await self._compare(offered)
                except Exception as error:  # noqa: BLE001 - the trial's failure is a finding, never an outage
                    NOTES.labels("failed").inc(len(offered.notes))
                    self._tell(error)
                finally:
                    self._waiting_notes -= len(offered.notes)

    async def _compare(self, offered: _Offered) -> None:
        requests = [each.request for each in offered.notes]
        began = time.perf_counter()
        logits = await self._models.tagger.score(requests)
        confidences = await self._models.calibrator.judge(requests, logits)
        seconds = (time.perf_counter() - began) / len(requests)
        different = []
        same = 0
        for live, of_note in zip(offered.notes, confidences, strict=True):
            differences = self._differences(live, replace(live, confidences=of_note))
            if not differences:
                same += 1
                continue
            compared = NoteShadow(
                note_id=live.note_id,
                live=live.models,
                shadow=self._models.versions,
                differences=differences,
                live_seconds=offered.live_seconds,
                shadow_seconds=seconds,
            )
            different.append((live.source, compared))
        # Sent before anything is counted: notes whose differences nobody got count as failed, once.
        if different:
            await self._publish(different)
        NOTES.labels("same").inc(same)
        NOTES.labels("different").inc(len(different))
        for _ in requests:
            SECONDS.labels("live").observe(offered.live_seconds)
            SECONDS.labels("shadow").observe(seconds)
        _count(difference for _, compared in different for difference in compared.differences)

    def _differences(self, live: JudgedNote, shadow: JudgedNote) -> tuple[TagDifference, ...]:
        ours, theirs = (scored(each.recalled, each.confidences) for each in (live, shadow))
        our_tags, their_tags = (
            {each.index: each.confidence for each in decide(candidates, self._policy).emitted}
            for candidates in (ours, theirs)
        )
        found = []
        for index in sorted(our_tags.keys() | their_tags.keys()):
            # A tag that a person confirmed is emitted with confidence 1 by both.
            before = our_tags.get(index, ours[index].confidence)
            after = their_tags.get(index, theirs[index].confidence)
            CHANGE.observe(abs(after - before))
            if (index in our_tags) == (index in their_tags) and abs(after - before) < MOVED:
                continue
            found.append(
                TagDifference(
                    tag_id=ours[index].tag.tag_id,
                    live_confidence=before,
                    shadow_confidence=after,
                    live_emitted=index in our_tags,
                    shadow_emitted=index in their_tags,
                )
            )
        return tuple(found)

    def _tell(self, error: Exception) -> None:
        # Once a kind: a shadow that always fails would fill the log.
        if type(error).__name__ != self._told:
            self._told = type(error).__name__
            log.warning("the shadow's models failed; outputs do not depend on them", error=repr(error))


def _count(differences: Iterable[TagDifference]) -> None:
    for each in differences:
        if each.live_emitted == each.shadow_emitted:
            TAGS.labels("moved").inc()
        else:
            TAGS.labels("added" if each.shadow_emitted else "removed").inc()
