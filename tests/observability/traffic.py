"""Real traffic for a live worker: tags, history, notes of every fate, judgements."""

import asyncio
from dataclasses import dataclass

from streamproc.events.codec import decode_tagged, encode
from streamproc.events.files import note_from_row, read_events, tag_from_row
from streamproc.events.tagged import NoteOutcome, NoteTagged
from streamproc.pipeline.local import sample_file
from tests.servers.worker import WorkerProcess
from tests.streams.fixed import Client

__all__ = ["Published", "publish_traffic"]

SAMPLE_NOTES = 24


@dataclass(frozen=True)
class Published:
    """What went in and what consumers found. Beside the tagged notes: one in another language, one tombstone, one broken."""

    tags: int
    labelled: int
    tagged: list[NoteTagged]


async def publish_traffic(worker: WorkerProcess) -> Published:
    """Publish, and return once all of it has its outcome and is in the graph."""
    tags = list(read_events(sample_file("tags.jsonl"), tag_from_row))
    labelled = len(sample_file("history.jsonl").read_bytes().splitlines())
    await asyncio.to_thread(worker.streamproc, "import", "tags", str(sample_file("tags.jsonl")))
    await asyncio.to_thread(worker.streamproc, "import", "notes", str(sample_file("history.jsonl")))
    async with Client(worker.settings) as client:
        await worker.until("streamproc_events_total", labelled, agent="graph", outcome="applied")
        await worker.until("streamproc_tail_next_offset", len(tags), topic="tags.changes")
        await worker.until("streamproc_events_total", len(tags), agent="repository", outcome="applied")

        notes = list(read_events(sample_file("notes.jsonl"), note_from_row))[:SAMPLE_NOTES]
        notes = list({note.note_id: note for note in notes if not note.language}.values())
        await client.publish_many("notes.new", [(encode(note), note.note_id.encode()) for note in notes])
        await client.publish(
            "notes.new", b'{"note_id": "x", "title": "t", "text": "t", "language": "xx"}', "x"
        )
        await client.publish("notes.new", None, "gone")
        await client.publish("notes.new", b"{", "broken")
        for number, correct in enumerate(("true", "true", "false")):
            label = f'{{"note_id": "l{number}", "tag_id": "{tags[0].tag_id}", "correct": {correct}}}'
            await client.publish("notes.labels", label, f"l{number}")

        wanted = len(notes) + 2
        records = await client.wait_for(lambda found: len(found) >= wanted, "notes.tagged", seconds=60)
        outcomes = [decode_tagged(record.value) for record in records if record.value is not None]
        await worker.until("streamproc_recall_delay_seconds_count", len(notes))
        await worker.until("streamproc_judgements_total", 1, correct="false")
        tagged = [outcome for outcome in outcomes if outcome.outcome is NoteOutcome.TAGGED]
        return Published(len(tags), labelled, tagged)
