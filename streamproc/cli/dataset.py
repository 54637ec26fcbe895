"""``streamproc dataset``: labelled data out of the topics."""

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.progress import loading_progress
from streamproc.cli.running import run
from streamproc.config import Settings, load_settings
from streamproc.errors import InputFileError, UserError
from streamproc.events.topics import TopicNames

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.evaluation.dataset import Split
    from streamproc.evaluation.export import Example, Export

__all__ = ["app"]

app = typer.Typer(help="Labelled data out of the topics.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    # With a single command Typer would leave its name out.
    pass


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="To be made; must be missing or empty.")],
    valid: Annotated[float, typer.Option(help="Share of the notes for choosing.", min=0, max=0.9)] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the notes for reporting.", min=0, max=0.9)] = 0.1,
    *,
    by_date: Annotated[
        bool,
        typer.Option(
            "--by-date", help="The latest notes become test and valid; otherwise a hash of the id decides."
        ),
    ] = False,
) -> None:
    """Write what people said of notes as a dataset that train, calibrate and eval read.

    Right tags are those that people confirmed, imported or gave to notes of their own; what people rejected stands
    beside them. What models emitted is left out. Workers may go on meanwhile.

    Example: streamproc dataset export labelled-2026-03 --by-date
    """
    from streamproc.evaluation.layout import Shares  # noqa: PLC0415 - a quick --help
    from streamproc.evaluation.layout import by_date as split_by_date  # noqa: PLC0415
    from streamproc.evaluation.layout import by_id as split_by_id  # noqa: PLC0415

    if valid + test >= 1:
        raise UserError(f"--valid {valid:g} and --test {test:g} leave nothing for train: make them smaller")
    directory = directory.expanduser().absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory} exists and is not empty: give a directory that is still to be made")
    found = run(_collect(load_settings()))
    if not any(each.tags for each in found.examples):
        raise UserError(
            "the topics hold no note with a tag that people gave it: nothing was written. Labels come from "
            "'streamproc import notes', 'streamproc publish labels' and the tags of authors."
        )
    parts = (split_by_date if by_date else split_by_id)(found.examples, Shares(valid, test))
    _write(directory, found, parts)
    counts = ", ".join(f"{len(parts[split]):,} for {split}" for split in parts)
    rejections = sum(len(each.rejected) for each in found.examples)
    typer.echo(
        f"{directory}: {len(found.examples):,} notes ({counts}), {len(found.tags):,} tags, {rejections:,} rejections; "
        f"left out: {found.unlabelled:,} notes of which people said nothing, {found.textless:,} judged notes whose "
        f"text is gone, {found.passed_over:,} records that could not be used"
    )


async def _collect(settings: Settings) -> "Export":
    from streamproc.evaluation.export import Topics, collect  # noqa: PLC0415 - a quick --help
    from streamproc.streams.reading import read_to_end  # noqa: PLC0415

    names = TopicNames(settings.topic_prefix)
    with loading_progress() as progress:
        tags, labels, graph, notes = (
            read_to_end(settings, [topic], partial(progress, f"reading {topic}"))
            for topic in (names.tags_changes, names.notes_labels, names.graph_notes, names.notes_new)
        )
        return await collect(Topics(tags, labels, graph, notes))


def _write(directory: Path, found: "Export", parts: "dict[Split, list[Example]]") -> None:
    """All files or none: they are written beside the directory and moved there when they are complete."""
    from streamproc.evaluation.layout import dataset_files  # noqa: PLC0415 - a quick --help

    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        try:
            for name, lines in dataset_files(parts, found.tags):
                with (scratch / name).open("wb") as file:
                    file.writelines(lines)
            scratch.chmod(0o755)
            os.replace(scratch, directory)  # noqa: PTH105 - a directory takes the place of an empty one
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise InputFileError(f"{directory} cannot be written: {error.strerror or error}") from None
