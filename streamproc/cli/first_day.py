"""Confidences for the workers of a repository whose labelled history was just imported."""

import tempfile
from pathlib import Path

from streamproc.calibration.choice import LEAST_NOTES
from streamproc.calibration.record import write_record
from streamproc.cli.bundles import say
from streamproc.cli.progress import loading_progress
from streamproc.cli.running import run
from streamproc.config import FitConfidences, Settings
from streamproc.errors import InputFileError
from streamproc.events.codec import decode_tag, encode
from streamproc.events.files import note_from_row, read_events
from streamproc.events.tag import TagChange
from streamproc.events.topics import TopicNames
from streamproc.inference.backend import load_bundle, open_models
from streamproc.pipeline.local import LocalFiles
from streamproc.pipeline.local_confidences import fit_to_files
from streamproc.streams.reading import read_to_end

__all__ = ["require_writable", "write_calibration"]


def require_writable(file: Path) -> None:
    """Refuse a calibration file that could not be written in the end.

    Raises:
        InputFileError: its directory does not exist.
    """
    if not file.absolute().parent.is_dir():
        raise InputFileError(f"{file} cannot be written: {file.parent} is not a directory")


def write_calibration(settings: Settings, history: Path, file: Path) -> None:
    """Fit confidences to the history, with the tags that are on ``tags.changes``, and write the map to a file.

    Nothing that runs is changed by it: workers serve with the map once they are started with
    ``STREAMPROC_CALIBRATION``, and every output names the map it was made with.

    Raises:
        InputFileError: the history cannot be used.
        SettingsError: Kafka does not answer to these settings.
        DependencyDownError: Kafka cannot be reached.
    """
    if settings.fit_confidences is FitConfidences.OFF:
        return
    labelled = sum(bool(note.tags) for note in read_events(history, note_from_row))
    if labelled < LEAST_NOTES:
        say(f"confidences stay as they are: {labelled} labelled notes are fewer than {LEAST_NOTES}")
        return
    tags = run(_tags(settings))
    if not tags:
        say(
            "confidences stay as they are: there are no tags yet. Import tags, then run streamproc calibrate confidence"
        )
        return
    with tempfile.TemporaryDirectory(prefix="streamproc-") as workspace, loading_progress() as progress:
        repository = Path(workspace) / "tags.jsonl"
        repository.write_bytes(b"".join(encode(tag) + b"\n" for tag in tags))
        chosen = LocalFiles(repository, history, None)
        # The bundle's own map is where the fit begins, whatever calibration this command was started with.
        bundle = load_bundle(settings.model_copy(update={"calibration": None}))
        fit = run(fit_to_files(settings, bundle, chosen, open_models, progress))
    say(fit.sentence)
    if fit.record is not None and fit.record.changes:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_record(fit.record, file)
        say(f"start every worker with STREAMPROC_CALIBRATION={file} to serve with these confidences")


async def _tags(settings: Settings) -> list[TagChange]:
    """The last state of each tag, in the order of the topic."""
    states: dict[bytes, TagChange] = {}
    async for batch in read_to_end(settings, [TopicNames(settings.topic_prefix).tags_changes]):
        for record in batch:
            if record.key is not None:
                states.pop(record.key, None)
                if record.value is not None:
                    states[record.key] = decode_tag(record.value, record.key)
    return list(states.values())
