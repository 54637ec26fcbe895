"""Notes, tags and labelled history of any size for benchmarks, made of the sentences of the sample notes.

Their meaning does not matter here; their length and their vocabulary do: about 100 tokens a note, as in real posts.
"""

import random
import re
from datetime import UTC, datetime
from pathlib import Path

from streamproc.events.files import note_from_row, read_events
from streamproc.events.note import Note
from streamproc.events.tag import TagChange
from streamproc.pipeline.local import sample_file

__all__ = ["make_notes", "make_tags", "write_jsonl"]

WORDS_PER_NOTE = 75
TAGS_PER_NOTE = 3


def make_notes(
    count: int, *, seed: int, tags: list[TagChange] | None = None, prefix: str = "n"
) -> list[Note]:
    """Make notes of about 100 tokens; with tags, each note is labelled with those of its first three sentences.

    A sentence always stands for the same tag, so that notes that are alike have tags in common, as real ones do.
    """
    rng = random.Random(seed)
    sentences = _sentences()
    notes = []
    for number in range(count):
        chosen: list[int] = []
        while sum(sentences[each].count(" ") + 1 for each in chosen) < WORDS_PER_NOTE:
            chosen.append(rng.randrange(len(sentences)))
        labels = [tags[each % len(tags)].tag_id for each in chosen[:TAGS_PER_NOTE]] if tags else []
        text = " ".join(sentences[each] for each in chosen[1:])
        notes.append(
            Note(
                note_id=f"{prefix}{number}",
                title=sentences[chosen[0]][:80],
                text=text,
                tags=tuple(dict.fromkeys(labels)),
            )
        )
    return notes


def make_tags(count: int, *, seed: int) -> list[TagChange]:
    """Make tags whose names are pairs of words and whose definitions are sentences."""
    rng = random.Random(seed)
    sentences = _sentences()
    words = sorted({word.lower() for sentence in sentences for word in re.findall(r"[A-Za-z]{5,}", sentence)})
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        TagChange(
            tag_id=f"t{number}",
            name=f"{rng.choice(words)} {rng.choice(words)} {number}",
            changed_at=moment,
            description=rng.choice(sentences),
        )
        for number in range(count)
    ]


def write_jsonl(path: Path, rows: list[bytes]) -> Path:
    """Write encoded rows, one a line."""
    path.write_bytes(b"\n".join(rows) + b"\n")
    return path


def _sentences() -> list[str]:
    texts = (note.text for note in read_events(sample_file("history.jsonl"), note_from_row))
    return [
        sentence.strip()
        for text in texts
        for sentence in re.split(r"(?<=[.!?]) ", text)
        if len(sentence.split()) > 3
    ]
