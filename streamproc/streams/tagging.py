"""The tagging agent's work: ``notes.new`` → ``notes.tagged`` and ``graph.notes``. It never writes to the graph."""

from collections.abc import Sequence
from typing import Protocol

from streamproc.errors import PoisonError
from streamproc.events.codec import Limits, decode_note
from streamproc.events.note import Note
from streamproc.events.record import InputRecord
from streamproc.observability.outcomes import OutcomeMeter
from streamproc.pipeline.outcome import Outcome, SourcedNote
from streamproc.streams.dead_letter import Cause
from streamproc.streams.failure import Failed, FailurePolicy
from streamproc.streams.lane import Prepared, dead
from streamproc.streams.outputs import Outputs

__all__ = ["DELETED", "NoteTagger", "TaggingWork"]

DELETED = "deleted"


class NoteTagger(Protocol):
    """What is needed of the pipeline."""

    async def tag(self, notes: Sequence[SourcedNote]) -> list[Outcome]:
        """Give the outcome of each note, in order.

        Raises:
            TransientError: worth another attempt.
            DependencyDownError: the graph or the models cannot be reached.
            PoisonError: one of the notes is at fault.
        """
        ...


class TaggingWork:
    """Turns records of ``notes.new`` into their outcomes."""

    name = "tagging"
    stage = "deliver"

    def __init__(self, pipeline: NoteTagger, policy: FailurePolicy, outputs: Outputs, limits: Limits) -> None:
        self._pipeline = pipeline
        self._policy = policy
        self._outputs = outputs
        self._limits = limits
        self._meter = OutcomeMeter()

    async def prepare(self, records: Sequence[InputRecord]) -> Sequence[Prepared]:
        """Decode, tag and encode; whatever is poison becomes a dead letter by itself."""
        prepared: list[Prepared | None] = [None] * len(records)
        notes: list[SourcedNote] = []
        places: list[int] = []
        for index, record in enumerate(records):
            try:
                event = decode_note(record.value, record.key, record.headers, self._limits)
            except PoisonError as error:
                prepared[index] = dead(self._outputs, record, Cause(error, "decode"))
                continue
            if isinstance(event, Note):
                notes.append(SourcedNote(event, record.source))
                places.append(index)
            else:
                prepared[index] = Prepared(
                    record, self._outputs.deleted(event.note_id, record.source), DELETED
                )
        outcomes = await self._policy.carry(notes, self._pipeline.tag) if notes else []
        self._meter.observe(each.tagged for each in outcomes if not isinstance(each, Failed))
        for index, outcome in zip(places, outcomes, strict=True):
            prepared[index] = self._said(records[index], outcome)
        return [item for item in prepared if item is not None]

    async def settle(self, prepared: Sequence[Prepared]) -> Sequence[Prepared]:
        """Nothing is left to do: the graph agent reads what was sent."""
        del prepared
        return ()

    def _said(self, record: InputRecord, outcome: Outcome | Failed) -> Prepared:
        if isinstance(outcome, Failed):
            return dead(self._outputs, record, Cause(outcome.error, "tag", outcome.attempts))
        try:
            return Prepared(record, self._outputs.tagged(outcome), outcome.tagged.outcome.value)
        except PoisonError as error:
            return dead(self._outputs, record, Cause(error, "encode"))
