"""``streamproc import``: a repository of tags, labelled history and knowledge into the topics."""

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.bundles import say
from streamproc.cli.input_records import history_record
from streamproc.cli.outputs import require_outputs
from streamproc.cli.publish import publish_knowledge, publish_tags
from streamproc.cli.record_file import RecordFile
from streamproc.cli.running import run
from streamproc.cli.sending import publish_file
from streamproc.config import load_settings
from streamproc.events.files import note_from_row, read_events
from streamproc.events.topics import TopicNames

__all__ = ["app"]

app = typer.Typer(
    name="import",
    help="Load tags, labelled history and knowledge.\n\nA whole file is checked before anything is sent. Workers take "
    "it up from the topics; importing a file again replaces what it brought.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Argument(help="File of JSON objects, one a line.")]


@app.command()
def tags(file: File) -> None:
    """Load the tag repository.

    A line is {"tag": "coffee", "description": "…", "synonyms": ["espresso"], "kind": "topic"}; a tag without tag_id
    goes by its exact name.

    Example: streamproc import tags tags.jsonl
    """
    publish_tags(file)


@app.command()
def notes(
    file: File,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Where the confidences that are fitted to these notes are written, for STREAMPROC_CALIBRATION; "
            "calibration.json in the cache directory unless given."
        ),
    ] = None,
) -> None:
    """Load labelled history: notes whose tags are known.

    New notes get the tags of notes like them.

    A line is {"id": "h1", "title": "…", "text": "…", "tags": ["coffee"]}; a tag goes by its tag_id, or by its
    exact name if it has none of its own. The notes are not tagged and nothing appears on notes.tagged.

    Some hundred labelled notes are enough to fit the confidences to this repository: the map is written to a file
    that all workers are given (STREAMPROC_FIT_CONFIDENCES=off leaves that out). Import tags first: labels that name
    no published tag are told in the end, and count once such a tag is published.

    Example: streamproc import notes labelled.jsonl
    """
    from streamproc.cli.first_day import write_calibration  # noqa: PLC0415 - a quick --help
    from streamproc.cli.history_labels import look_up_labels  # noqa: PLC0415
    from streamproc.cli.published_tags import published_tags  # noqa: PLC0415
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415

    settings = load_settings()
    target = calibration or settings.cache_dir.expanduser() / "calibration.json"
    require_outputs(calibration, inputs=(file,))
    encoder = load_bundle(settings).manifest.encoder.float_sha256
    topic = TopicNames(settings.topic_prefix).graph_notes
    source = RecordFile(file, history_record(topic, settings, file.name, encoder), settings.max_output_bytes)
    publish_file(settings, topic, source)
    tags = run(published_tags(settings))
    labels = look_up_labels(read_events(file, note_from_row), tags)
    write_calibration(settings, file, labels.notes, tags, target)
    for sentence in labels.sentences:
        say(sentence)


@app.command()
def knowledge(file: File) -> None:
    """Load definitions, rules and handbook passages.

    A line is {"segment_id": "s1", "kind": "definition", "text": "…", "tag_ids": ["coffee"]}.

    Example: streamproc import knowledge handbook.jsonl
    """
    publish_knowledge(file)
