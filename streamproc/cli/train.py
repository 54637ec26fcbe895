"""``streamproc train``: the models of a bundle, from labelled history."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streamproc.cli.bundles import (
    BundleOption,
    Datasets,
    Output,
    open_base,
    prepare_datasets,
    require_bundle_output,
    require_named,
    say,
)
from streamproc.cli.outputs import require_new_directory
from streamproc.cli.train_encoder import train_encoder
from streamproc.cli.train_general import train_general
from streamproc.errors import UserError
from streamproc.extras import how_to_install

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.inference.manifest import Fold

__all__ = ["app"]

app = typer.Typer(
    help='Train models of a bundle; the extra "train" must be installed.',
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("encoder")(train_encoder)
app.command("general")(train_general)


@app.command("tagger")
def train_tagger(  # noqa: PLR0917 - the options of a command line
    datasets: Datasets,
    output: Output,
    bundle: BundleOption = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of the bundle; that of its directory unless given.", show_default=False),
    ] = None,
    version: Annotated[
        str, typer.Option(help="Of the bundle and its models; every output records name and version.")
    ] = "1",
    notes: Annotated[int, typer.Option(help="Labelled notes drawn from each train.", min=1)] = 4000,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the notes of a tagger that reads the text; 2 unless given.",
            min=1,
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option(
            help="Of a tagger that reads the text: the 2 that it has unless told read a full note and its tags within 40 ms on "
            "two cores; a teacher may take all 6.",
            min=1,
            max=6,
            show_default=False,
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="Soft labels of a teacher, as streamproc distill writes them.", dir_okay=False),
    ] = None,
    hold_out: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Train a teacher on the rest: leave part K of N of each train's notes out, such as 1/2. "
            "streamproc distill --local labels them.",
        ),
    ] = None,
    networks: Annotated[
        int,
        typer.Option(
            help="Networks over the evidence whose mean serves, as tagger and as calibrator.", min=1, max=16
        ),
    ] = 1,
    passes: Annotated[
        int,
        typer.Option(
            help="Over the evidence, of each network. 80 and four networks rank a few thousand notes a little better; "
            "few, such as 5, carry over better to repositories that are not trained on.",
            min=1,
        ),
    ] = 30,
    seed: Annotated[int, typer.Option(help="Of every draw.", min=0)] = 0,
    *,
    read_text: Annotated[
        bool,
        typer.Option(
            "--read-text/--evidence-only",
            help="Whether the tagger reads note and tags (a label-marker encoder, several times the cost) "
            "or the evidence of recall alone.",
        ),
    ] = False,
) -> None:
    """Train the tagger and the calibrator on labelled history, each note recalled as if it were new.

    Bring the same command again to go on with a run that was interrupted.

    Example: streamproc train tagger data/nyt_keywords -o bundles/news
    """
    from streamproc.graph.thresholds import Thresholds  # noqa: PLC0415 - a quick --help
    from streamproc.training.marker_training import MarkerTraining  # noqa: PLC0415 - a quick --help
    from streamproc.training.provenance import training_set  # noqa: PLC0415 - a quick --help
    from streamproc.training.teacher_labels import TeacherLabels  # noqa: PLC0415 - a quick --help

    try:
        from streamproc.training.tagger import Plan, require_trainable, train_models  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(
            f"training needs what is not installed ({error.name}): {how_to_install('train')}"
        ) from None
    if not read_text and (epochs, layers) != (None, None):
        given = "--epochs" if layers is None else "--layers"
        raise UserError(f"{given} is of a tagger that reads the text: add --read-text, or leave it out")
    name = output.resolve().name if name is None else name
    require_named(name=name, version=version)
    require_bundle_output(output)
    require_new_directory(output)
    held_out = None if hold_out is None else _fold(hold_out)
    soft = None if teacher is None else TeacherLabels.read(teacher)
    base = open_base(bundle)
    # What is trained here is not what the base's name stands for.
    base = replace(base, manifest=msgspec.structs.replace(base.manifest, name=name, version=version))
    prepared = prepare_datasets(datasets, base, require_trainable)
    marker = MarkerTraining(layers=layers or 2, epochs=epochs or 2, seed=seed) if read_text else None
    plan = Plan(
        version,
        notes_a_set=notes,
        marker=marker,
        teacher=soft,
        held_out=held_out,
        sets=tuple(training_set(each) for each in datasets),
        networks=networks,
        passes=passes,
        seed=seed,
    )
    manifest = train_models(prepared, base, output, Thresholds.of(base.manifest.recall), plan, say)
    typer.echo(f"{output}: {manifest.name}-{manifest.version}, models {version}")


def _fold(text: str) -> "Fold":
    from streamproc.inference.manifest import Fold  # noqa: PLC0415 - a quick --help

    number, _, folds = text.partition("/")
    try:
        fold = msgspec.convert({"number": number, "folds": folds}, Fold, strict=False)
    except msgspec.ValidationError:
        fold = None
    if fold is None or fold.number > fold.folds:
        raise UserError(f"--hold-out is {text!r}: give a part of the notes such as 1/2, the first of two")
    return fold
