"""``streamproc calibrate``: what is fitted to labelled history without training any model."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streamproc.cli.bundles import (
    BundleOption,
    Datasets,
    Output,
    open_base,
    open_bundle,
    prepare_datasets,
    require_bundle_output,
    require_readable,
    say,
    write_bundle,
)
from streamproc.cli.outputs import require_outputs
from streamproc.config import load_settings
from streamproc.errors import UserError
from streamproc.whole_file import write_whole

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.calibration.outside import Twins
    from streamproc.calibration.precision import KindThreshold
    from streamproc.calibration.record import CalibrationRecord
    from streamproc.calibration.routes import Routes
    from streamproc.calibration.sample import Float64, Sample
    from streamproc.evaluation.dataset import Dataset
    from streamproc.inference.bundle import Bundle
    from streamproc.pipeline.local import LocalFiles

__all__ = ["app"]

app = typer.Typer(
    help="Fit recall, confidences or thresholds to labelled data. Nothing of it needs the train extra.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SomeDatasets = Annotated[
    list[Path] | None,
    typer.Argument(help="Directories with train.jsonl, valid.jsonl, test.jsonl and tags.jsonl."),
]
Tags = Annotated[Path | None, typer.Option(help="The tag repository (JSONL), in place of datasets.")]
History = Annotated[Path | None, typer.Option(help="Labelled notes (JSONL), in place of datasets.")]
FirstNotes = Annotated[
    int | None,
    typer.Option(
        help="Of datasets, only so many labelled notes of train, drawn at random, are the history, as eval draws them with the "
        "same options.",
        min=0,
        show_default=False,
    ),
]
LeaveOneOut = Annotated[
    bool,
    typer.Option(
        "--leave-one-out",
        help="Of datasets, use notes of train, each recalled as if it were new, in place of valid; "
        "not for models that were trained on them.",
    ),
]


@app.command("recall")
def calibrate_recall(datasets: Datasets, output: Output, bundle: BundleOption = None) -> None:
    """Fit recall (how the paths to a tag are weighed) to the encoder on labelled history.

    Tagger and calibrator were trained on what the old recall brings: train them again afterwards.
    """
    require_bundle_output(output)
    from streamproc.graph.thresholds import FITTED  # noqa: PLC0415 - a quick --help
    from streamproc.training.fusion import fit_recall, recall_fit  # noqa: PLC0415 - a quick --help

    base = open_base(bundle)
    prepared = prepare_datasets(datasets, base)
    say("fitting recall")
    fitted = recall_fit(fit_recall(prepared, FITTED), [each.dataset.name for each in prepared])
    write_bundle(base, output, msgspec.structs.replace(base.manifest, recall=fitted))
    for name, weight in fitted.fusion.items():
        typer.echo(f"{name}\t{weight:g}")


@app.command("confidence")
def calibrate_confidence(  # noqa: PLR0917 - the options of a command line
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="A file ending in .json: a calibration file for STREAMPROC_CALIBRATION. Else a directory: a new bundle.",
        ),
    ],
    datasets: SomeDatasets = None,
    tags: Tags = None,
    history: History = None,
    bundle: BundleOption = None,
    hold_out_single: Annotated[
        int,
        typer.Option(
            help="Of datasets, first take out the tags that eval takes out with the same options, and their notes: "
            "the map for that study. Single-tag sets only.",
            min=0,
        ),
    ] = 0,
    first_notes: FirstNotes = None,
    seed: Annotated[int, typer.Option(help="Of these draws.", min=0)] = 0,
    *,
    leave_one_out: LeaveOneOut = False,
) -> None:
    """Fit the calibration map, so that a confidence of .9 means nine in ten on this repository.

    From labelled history alone, each note recalled as if it were new; or from datasets. The form of the map, from a
    temperature to one that hears the evidence, is chosen by cross-fitting. Each note is also recalled as if its tags
    had never been: where that can be told from what right tags bring, a gate holds back what is emitted for notes
    that belong to no tag.

    Example: streamproc calibrate confidence --tags tags.jsonl --history labelled.jsonl -o calibration.json
    """
    base = open_bundle(bundle)
    chosen = _chosen(datasets, tags, history)
    if hold_out_single and chosen is not None:
        raise UserError("--hold-out-single takes tags out of datasets: name one, not --history")
    if first_notes is not None and chosen is not None:
        raise UserError("--first-notes draws from the train of datasets: name one, not --history")
    if leave_one_out and chosen is not None:
        raise UserError(
            "--leave-one-out is for datasets: notes of --history are always recalled as if they were new"
        )
    if output.suffix == ".json":
        require_outputs(output, inputs=(tags, history))
    else:
        require_bundle_output(output)
    record = (
        _record_of_datasets(
            datasets or [],
            base,
            leave_one_out=leave_one_out,
            first_notes=first_notes,
            hold_out=hold_out_single,
            seed=seed,
        )
        if chosen is None
        else _record_of_files(chosen, base)
    )
    _write(record, base, output, [path.name for path in datasets or []])
    from streamproc.calibration.record import in_words  # noqa: PLC0415 - a quick --help

    typer.echo(in_words(record))


@app.command("precision")
def calibrate_precision(  # noqa: PLR0917 - the options of a command line
    datasets: SomeDatasets = None,
    tags: Tags = None,
    history: History = None,
    bundle: BundleOption = None,
    target: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Precision that accepted tags are to have.")
    ] = 0.95,
    review: Annotated[
        float,
        typer.Option(min=0.05, max=0.999, help="Precision that tags for a person's review are to have."),
    ] = 0.5,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the settings here instead of to standard output."),
    ] = None,
    *,
    leave_one_out: LeaveOneOut = False,
) -> None:
    """Fit thresholds, by kind of tag, that keep a promised precision.

    The lower 95 % confidence bound on the precision of what is accepted reaches --target. Of what is not, people review
    what reaches --review likewise, counted without what is accepted; the rest is dropped. Gives lines for streamproc.toml.

    Example: streamproc calibrate precision --target 0.95 --tags tags.jsonl --history labelled.jsonl
    """
    from streamproc.calibration.routes import fit_routes, settings_fragment  # noqa: PLC0415 - a quick --help
    from streamproc.calibration.sample import confidence_of  # noqa: PLC0415
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415
    from streamproc.inference.calibration_file import map_of  # noqa: PLC0415

    if review > target:
        raise UserError(
            f"--review {review:g} is above --target {target:g}: review takes what is not accepted"
        )
    require_outputs(output, inputs=(tags, history))
    base = load_bundle(load_settings()) if bundle is None else open_bundle(bundle)
    require_readable(base)
    chosen = _chosen(datasets, tags, history)
    if chosen is None:
        sample = _samples_of_datasets(datasets or [], base, leave_one_out=leave_one_out, outside=False).inside
        confidence = confidence_of(sample, map_of(base))
    else:
        sample, confidence = asyncio.run(_held_out(chosen, base))
    routes = fit_routes(sample, confidence, target, review)
    _tell(routes, sample.notes, target)
    fragment = settings_fragment(routes)
    if not fragment:
        raise UserError(
            f"no kind of tag reaches a precision of {target:g} on these notes: nothing was written"
        )
    if output is None:
        typer.echo(fragment, nl=False)
    else:
        write_whole(output, fragment.encode())


def _chosen(datasets: list[Path] | None, tags: Path | None, history: Path | None) -> "LocalFiles | None":
    """The files, or None where datasets are named."""
    from streamproc.pipeline.local import LocalFiles  # noqa: PLC0415 - a quick --help

    if datasets:
        if tags is not None or history is not None:
            raise UserError("name datasets, or --tags and --history, not both")
        return None
    if history is None:
        raise UserError("name labelled notes with --history (and their tags with --tags), or datasets")
    return LocalFiles(tags, history, None)


def _record_of_files(chosen: "LocalFiles", base: "Bundle") -> "CalibrationRecord":
    from streamproc.cli.progress import loading_progress  # noqa: PLC0415
    from streamproc.inference.backend import open_models  # noqa: PLC0415
    from streamproc.pipeline.local_confidences import fit_to_files  # noqa: PLC0415

    with loading_progress() as progress:
        fit = asyncio.run(fit_to_files(load_settings(), base, chosen, open_models, progress))
    if fit.record is None:
        raise UserError(f"{chosen.history}: {fit.sentence}; nothing was written")
    return fit.record


def _record_of_datasets(
    datasets: list[Path],
    base: "Bundle",
    *,
    leave_one_out: bool,
    first_notes: int | None,
    hold_out: int,
    seed: int,
) -> "CalibrationRecord":
    from streamproc.calibration.choice import LEAST_NOTES  # noqa: PLC0415
    from streamproc.evaluation.calibration_sample import fit_to_sample  # noqa: PLC0415

    twins = _samples_of_datasets(
        datasets, base, leave_one_out=leave_one_out, first_notes=first_notes, hold_out=hold_out, seed=seed
    )
    notes = twins.inside.notes
    if notes < LEAST_NOTES:
        raise UserError(
            f"{notes} labelled notes are too few to fit confidences to: {LEAST_NOTES} at least; nothing was written"
        )
    say(f"fitting confidences to {notes:,} notes")
    return fit_to_sample(twins, base)


def _samples_of_datasets(
    datasets: list[Path],
    base: "Bundle",
    *,
    leave_one_out: bool,
    outside: bool = True,
    first_notes: int | None = None,
    hold_out: int = 0,
    seed: int = 0,
) -> "Twins":
    from streamproc.evaluation.calibration_sample import sample_of_datasets  # noqa: PLC0415
    from streamproc.evaluation.dataset import Split  # noqa: PLC0415
    from streamproc.evaluation.out_of_scope import draw, without_drawn  # noqa: PLC0415

    def taken(dataset: "Dataset") -> "Dataset":
        first = dataset if first_notes is None else dataset.with_first(first_notes, seed)
        if hold_out:
            draw(first, hold_out, seed)  # raises where that cannot be done
        return first

    prepared = prepare_datasets(datasets, base, taken)
    if hold_out:
        prepared = [without_drawn(each, hold_out, seed) for each in prepared]
    split = Split.TRAIN if leave_one_out else Split.VALID
    return sample_of_datasets(prepared, split, base, load_settings().inference_threads, outside=outside)


async def _held_out(chosen: "LocalFiles", base: "Bundle") -> "tuple[Sample, Float64]":
    """Notes and the confidences of their candidates, by a map that was not fitted to them.

    Notes that the map in force was not fitted to where there are enough; else cross-fitted confidences.
    """
    from streamproc.calibration.choice import LEAST_NOTES, MOST_NOTES, fit_confidences  # noqa: PLC0415
    from streamproc.calibration.sample import confidence_of  # noqa: PLC0415
    from streamproc.cli.progress import loading_progress  # noqa: PLC0415
    from streamproc.inference.backend import open_models  # noqa: PLC0415
    from streamproc.inference.calibration_file import map_of  # noqa: PLC0415
    from streamproc.pipeline.local_confidences import samples_of_files, with_local_confidences  # noqa: PLC0415

    settings = load_settings()
    with loading_progress() as progress:
        in_force, sentence = await with_local_confidences(settings, base, chosen, open_models, progress)
        say(sentence)
        others = await samples_of_files(
            settings, base, chosen, open_models, progress, skip=MOST_NOTES, outside=False
        )
        if others.inside.notes >= LEAST_NOTES:
            return others.inside, confidence_of(others.inside, map_of(in_force))
        twins = await samples_of_files(settings, base, chosen, open_models, progress)
    sample = twins.inside
    if sample.notes < LEAST_NOTES:
        raise UserError(
            f"{chosen.history}: {sample.notes} labelled notes are too few to promise anything: {LEAST_NOTES} at least"
        )
    if in_force is base:
        return sample, confidence_of(sample, map_of(base))
    return sample, fit_confidences(sample, map_of(base), twins.outside).held_out


def _write(record: "CalibrationRecord", base: "Bundle", output: Path, names: list[str]) -> None:
    from streamproc.calibration.record import write_record  # noqa: PLC0415
    from streamproc.inference.calibration_file import with_map  # noqa: PLC0415

    if output.suffix == ".json":
        write_record(record, output)
        say(f"{output}: start every worker with STREAMPROC_CALIBRATION={output}")
        return
    manifest = with_map(base, record.map).manifest
    if manifest.calibrator is not None:
        known = manifest.calibrator.training_data
        fitted_on = (*known, *(name for name in names if name not in known))
        calibrator = msgspec.structs.replace(manifest.calibrator, training_data=fitted_on)
        manifest = msgspec.structs.replace(manifest, calibrator=calibrator)
    write_bundle(base, output, manifest)


def _tell(routes: "Routes", notes: int, target: float) -> None:
    for each in routes.kinds:
        say(f"{each.kind}: {_in_words(each.accept, each.review, target)}")
    yields = routes.yields
    say(
        f"on {notes:,} labelled notes: {yields.tags_a_note:.2f} tags a note, "
        f"{yields.notes_with_a_tag:.1%} of the notes with a tag, {yields.reviews_a_note:.2f} for review a note"
    )


def _in_words(accept: "KindThreshold", review: "KindThreshold", target: float) -> str:
    if accept.too_few:
        return (
            f"no threshold: {accept.emitted} candidates are too few to promise {target:g}, {accept.needed} right ones "
            "would be needed at least; what holds for all kinds holds"
        )
    if accept.threshold is None:
        return (
            f"no threshold: of the {accept.emitted} most confident {accept.right:.3f} are right, at least "
            f"{accept.bound:.3f} with 95 % confidence; what holds for all kinds holds"
        )
    waiting = (
        "nothing for review"
        if review.threshold is None
        else f"review from {review.threshold:g} on ({_proof(review)})"
    )
    return f"accept from {accept.threshold:g} on ({_proof(accept)}), {waiting}"


def _proof(fitted: "KindThreshold") -> str:
    return (
        f"{fitted.emitted} tags, {fitted.right:.3f} right, at least {fitted.bound:.3f} with 95 % confidence"
    )
