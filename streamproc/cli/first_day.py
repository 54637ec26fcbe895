"""Confidences for the workers of a repository whose labelled history was just imported."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from streamproc.calibration.choice import LEAST_NOTES
from streamproc.calibration.record import write_record
from streamproc.cli.bundles import say
from streamproc.cli.progress import loading_progress
from streamproc.cli.published_tags import as_file_of_tags
from streamproc.cli.running import run
from streamproc.config import FitConfidences, Settings
from streamproc.events.codec import encode
from streamproc.events.tag import TagChange
from streamproc.inference.backend import load_bundle, open_models
from streamproc.pipeline.local import LocalFiles
from streamproc.pipeline.local_confidences import fit_to_files

__all__ = ["write_calibration"]


def write_calibration(
    settings: Settings, history: Path, labelled: int, tags: Mapping[str, TagChange], file: Path
) -> None:
    """Fit confidences to the history and write the map to a file.

    Nothing that runs is changed by it: workers serve with the map once they are started with
    ``STREAMPROC_CALIBRATION``, and every output names the map it was made with.

    Args:
        settings: where models run and where the cache is.
        history: the labelled notes.
        labelled: how many these are.
        tags: what is published, by id.
        file: where the map is written.

    Raises:
        InputFileError: the history cannot be used.
    """
    if settings.fit_confidences is FitConfidences.OFF:
        return
    if labelled < LEAST_NOTES:
        say(f"confidences stay as they are: {labelled} labelled notes are fewer than {LEAST_NOTES}")
        return
    repository = list(as_file_of_tags(tags))
    if not repository:
        say(
            "confidences stay as they are: there are no tags yet. Import tags, then run streamproc calibrate confidence"
        )
        return
    with tempfile.TemporaryDirectory(prefix="streamproc-") as workspace, loading_progress() as progress:
        file_of_tags = Path(workspace) / "tags.jsonl"
        file_of_tags.write_bytes(b"".join(encode(tag) + b"\n" for tag in repository))
        chosen = LocalFiles(file_of_tags, history, None)
        # The bundle's own map is where the fit begins, whatever calibration this command was started with.
        bundle = load_bundle(settings.model_copy(update={"calibration": None}))
        fit = run(fit_to_files(settings, bundle, chosen, open_models, progress))
    say(fit.sentence)
    if fit.record is not None and fit.record.changes:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_record(fit.record, file)
        say(f"start every worker with STREAMPROC_CALIBRATION={file} to serve with these confidences")
