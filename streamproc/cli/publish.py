"""``streamproc publish``: files of JSON lines to the input topics."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.input_records import judgement_record, note_of, note_record, segment_record, tag_record
from streamproc.cli.pace import due_by_date, due_by_rate
from streamproc.cli.record_file import RecordFile
from streamproc.cli.sending import publish_file, publish_records
from streamproc.config import load_settings
from streamproc.errors import SettingsError
from streamproc.events.topics import TopicNames

__all__ = ["app"]

app = typer.Typer(
    help="Publish a file to an input topic.\n\nThe file holds a JSON object a line; all of it is checked before anything "
    "is sent.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Argument(help="File of JSON objects, one a line.")]


@app.command()
def notes(
    file: File,
    rate: Annotated[float | None, typer.Option(help="Publish so many notes a second.", min=0.001)] = None,
    *,
    by_date: Annotated[bool, typer.Option("--by-date", help="Publish in order of created_at.")] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            help="With --by-date: keep the pauses between the notes, so many times as fast (3600: an hour a second).",
            min=0.001,
        ),
    ] = None,
) -> None:
    """Publish notes to be tagged.

    Without options they are sent as fast as Kafka takes them.

    A note has id (or note_id), title, text and whatever else the schema of notes.new names. It is keyed by its id;
    publishing the same id again replaces the note.

    Example: streamproc publish notes posts.jsonl --rate 20

    Example: streamproc publish notes posts.jsonl --by-date --speed 3600
    """
    if speed is not None and (rate is not None or not by_date):
        raise SettingsError(
            "--speed keeps the pauses between dates: give it with --by-date and without --rate."
        )
    settings = load_settings()
    topic = TopicNames(settings.topic_prefix).notes_new
    source = RecordFile(file, note_record(topic, settings), settings.max_output_bytes)
    total = source.check()
    records = source.records()
    due: Callable[[int], float] | None = None
    if by_date:
        order = source.by_date(note_of(settings))
        records = source.records_at(order)
        if speed is not None:
            due = due_by_date(order, speed).__getitem__
    if rate is not None:
        due = partial(due_by_rate, per_second=rate)
    publish_records(settings, topic, records, total, due)


@app.command()
def labels(file: File) -> None:
    """Publish people's judgements of tagged notes.

    A line is {"note_id": "n1", "tag_id": "coffee", "correct": true, "annotator": "ann"}. It takes effect within
    seconds, on the note itself and on what its neighbours vote for.

    Example: streamproc publish labels judgements.jsonl
    """
    settings = load_settings()
    topic = TopicNames(settings.topic_prefix).notes_labels
    publish_file(settings, topic, RecordFile(file, judgement_record(topic), settings.max_output_bytes))


@app.command()
def tags(file: File) -> None:
    """Publish new tags, or the new state of tags.

    A line is {"tag": "coffee", "description": "…", "synonyms": ["espresso"]}; tag_id, kind, status, policy and the
    rest of the schema of tags.changes may be given.

    Example: streamproc publish tags changed.jsonl
    """
    publish_tags(file)


@app.command()
def knowledge(file: File) -> None:
    """Publish definitions, rules and handbook passages.

    A line is {"segment_id": "s1", "kind": "rule", "text": "…", "tag_ids": ["coffee"]}; kind is definition, rule
    or handbook.

    Example: streamproc publish knowledge handbook.jsonl
    """
    publish_knowledge(file)


def publish_tags(file: Path) -> None:
    """Publish a file of tags (``publish tags`` and ``import tags`` are the same)."""
    settings = load_settings()
    topic = TopicNames(settings.topic_prefix).tags_changes
    source = RecordFile(file, tag_record(topic, datetime.now(UTC)), settings.max_output_bytes)
    publish_file(settings, topic, source)


def publish_knowledge(file: Path) -> None:
    """Publish a file of knowledge (``publish knowledge`` and ``import knowledge`` are the same)."""
    settings = load_settings()
    topic = TopicNames(settings.topic_prefix).knowledge_changes
    publish_file(settings, topic, RecordFile(file, segment_record(topic), settings.max_output_bytes))
