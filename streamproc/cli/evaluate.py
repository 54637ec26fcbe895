"""``streamproc eval``: figures of a bundle on a dataset."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console

from streamproc.cli.bundles import (
    BundleOption,
    open_bundle,
    say,
    vector_cache,
)
from streamproc.cli.language_model import (
    AskAgain,
    LanguageModelName,
    LanguageModelUrl,
    missing_rivals,
    rivals,
)
from streamproc.cli.outputs import require_outputs
from streamproc.config import FitConfidences, Settings, load_settings
from streamproc.errors import UserError
from streamproc.extras import how_to_install
from streamproc.whole_file import write_whole

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.evaluation.baselines import Trees
    from streamproc.evaluation.dataset import Dataset
    from streamproc.evaluation.prepared import Prepared
    from streamproc.evaluation.protocol import Studies
    from streamproc.inference.bundle import Bundle

__all__ = ["evaluate"]


def evaluate(  # noqa: PLR0917 - the options of a command line
    dataset: Annotated[
        Path, typer.Argument(help="Directory with train.jsonl, valid.jsonl, test.jsonl and tags.jsonl.")
    ],
    report: Annotated[
        Path | None, typer.Option(help="Write all figures here as JSON.", dir_okay=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write them here as a page with plots.", dir_okay=False)
    ] = None,
    bundle: BundleOption = None,
    split: Annotated[
        str, typer.Option(help="Which notes are scored: valid to choose, test to report.")
    ] = "test",
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="A calibration file ('streamproc calibrate confidence'), or that of the settings. Without one confidences "
            "are fitted to train, as import does; STREAMPROC_FIT_CONFIDENCES=off keeps the bundle's.",
            dir_okay=False,
        ),
    ] = None,
    first_notes: Annotated[
        int | None,
        typer.Option(
            help="Measure the first days: only so many labelled notes of train, drawn at random, are the history; 0: none.",
            min=0,
            show_default=False,
        ),
    ] = None,
    hold_out_tags: Annotated[
        float,
        typer.Option(
            help="Also take this share of the tags out of the history and measure them as new ones, such as 0.1.",
            min=0,
            max=0.9,
        ),
    ] = 0.0,
    hold_out_single: Annotated[
        int,
        typer.Option(
            help="Also take this many tags out altogether: their notes should get none. Single-tag sets only. Confidences, those "
            "of the other figures as well, are fitted without them.",
            min=0,
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the draws of these.", min=0)] = 0,
    llm: LanguageModelUrl = None,
    llm_model: LanguageModelName = None,
    *,
    ask_again: AskAgain = False,
    ablations: Annotated[
        bool, typer.Option("--ablations", help="Also measure without each part; takes several times as long.")
    ] = False,
    baselines: Annotated[
        bool | None,
        typer.Option(
            help="Train Omikuji beside it (extra 'baselines'); unless told, where it is installed.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure recall, ranking and confidences on a dataset, beside the baselines.

    The repository is the dataset's tags, the history its train, or as much of it as --first-notes says. Confidences are
    fitted to that history, as in production. The notes' category is shown to the models only where it is known not to give
    the gold tags away.

    Example: streamproc eval data/nyt_keywords --report nyt.json --html nyt.html
    """
    from streamproc.cli.report_view import show_report  # noqa: PLC0415 - a quick --help
    from streamproc.evaluation.dataset import Split, read_dataset  # noqa: PLC0415
    from streamproc.evaluation.page import page  # noqa: PLC0415
    from streamproc.evaluation.prepared import prepare  # noqa: PLC0415
    from streamproc.evaluation.protocol import Studies, Subject, require_measurable  # noqa: PLC0415
    from streamproc.evaluation.protocol import evaluate as measure  # noqa: PLC0415
    from streamproc.evaluation.seen import fitted_to, models_learned_from  # noqa: PLC0415
    from streamproc.graph.thresholds import Thresholds  # noqa: PLC0415
    from streamproc.inference.calibration_file import with_calibration  # noqa: PLC0415
    from streamproc.inference.onnx import load_encoder, load_models  # noqa: PLC0415

    if split not in {Split.VALID.value, Split.TEST.value}:
        raise UserError(f"--split is {split!r}: use valid or test")
    require_outputs(report, html, inputs=(*dataset.glob("*.json*"), calibration))
    wants_trees = _wants_trees(baselines)
    read = read_dataset(dataset)
    if first_notes is not None:
        read = read.with_first(first_notes, seed)
    trees, left_out = _trees(read, baselines) if wants_trees else ((), {})
    studies = Studies(ablations=ablations, new_tags=hold_out_tags, out_of_scope=hold_out_single, seed=seed)
    require_measurable(read, Split(split), studies)
    settings = load_settings()
    loaded = open_bundle(bundle)
    chosen = calibration or settings.calibration
    if chosen is not None:
        loaded = with_calibration(loaded, chosen.expanduser())
    manifest = loaded.manifest
    trained_on = models_learned_from(read, manifest)
    language_models = rivals(llm, llm_model, read, Split(split), loaded, ask_again=ask_again)
    cache = vector_cache(load_encoder(loaded, settings.inference_threads), loaded)
    prepared = prepare(read, cache)
    fitted_notes = 0
    if chosen is None:
        loaded, fitted_notes = _fitted(prepared, loaded, settings, studies, trained_on=trained_on)
    subject = Subject(
        f"{manifest.name}-{manifest.version}",
        load_models(loaded, settings.inference_threads),
        Thresholds.of(manifest.recall),
        calibration=chosen.name if chosen else "",
        fitted_to=fitted_notes,
        trained_on=trained_on,
        calibrated_on=fitted_to(read, manifest),
    )
    figures = measure(
        prepared,
        subject,
        split=Split(split),
        trees=trees,
        extra_rankers=language_models,
        untested={**missing_rivals(language_models), **left_out},
        studies=studies,
        cache=cache,
        progress=say,
    )
    if report is not None:
        write_whole(report, msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    if html is not None:
        write_whole(html, page(figures).encode())
    show_report(figures, Console())  # last: whoever reads it may go away


def _fitted(
    prepared: "Prepared", bundle: "Bundle", settings: Settings, studies: "Studies", *, trained_on: bool
) -> "tuple[Bundle, int]":
    """The bundle with the map that a repository of this history would serve with, and how many notes it was fitted to.

    The bundle as it is and 0 where it would serve with its own.
    """
    from streamproc.calibration.choice import LEAST_NOTES  # noqa: PLC0415 - a quick --help
    from streamproc.calibration.record import in_words  # noqa: PLC0415
    from streamproc.evaluation.calibration_sample import fit_to_sample, sample_of_datasets  # noqa: PLC0415
    from streamproc.evaluation.dataset import Split  # noqa: PLC0415
    from streamproc.evaluation.out_of_scope import without_drawn  # noqa: PLC0415
    from streamproc.inference.calibration_file import with_map  # noqa: PLC0415

    if settings.fit_confidences is FitConfidences.OFF:
        say("confidences are the bundle's: STREAMPROC_FIT_CONFIDENCES is off")
        return bundle, 0
    if trained_on:
        say(
            "confidences are the bundle's: its models have learned from this history, so it would flatter them. Fit to valid "
            "with streamproc calibrate confidence, and name the file with --calibration"
        )
        return bundle, 0
    calibrator = bundle.manifest.calibrator
    if calibrator is not None and prepared.dataset.name in calibrator.training_data:
        say("confidences are the bundle's: its map was fitted to this set")
        return bundle, 0
    # A map that had heard of the tags would not be one of a repository without them; it serves the other figures, too.
    history = (
        without_drawn(prepared, studies.out_of_scope, studies.seed) if studies.out_of_scope else prepared
    )
    labelled = sum(bool(each.gold) for each in history.dataset.train)
    if labelled < LEAST_NOTES:
        say(f"confidences are the bundle's: {labelled} labelled notes are fewer than {LEAST_NOTES}")
        return bundle, 0
    say("fitting confidences to the history")
    twins = sample_of_datasets([history], Split.TRAIN, bundle, settings.inference_threads)
    record = fit_to_sample(twins, bundle)
    say(in_words(record))
    return (with_map(bundle, record.map), record.notes) if record.changes else (bundle, 0)


def _wants_trees(asked: bool | None) -> bool:
    """Whether to train Omikuji; None: where what it needs is installed.

    Raises:
        UserError: it was asked for, and is not there.
    """
    missing = [name for name in ("omikuji", "sklearn", "scipy") if find_spec(name) is None]
    remedy = how_to_install("baselines")
    if asked and missing:
        raise UserError(f"the baselines need what is not installed ({missing[0]}): {remedy}")
    if asked is None and missing:
        say(f"Omikuji is not installed, so its trees are left out; for them: {remedy}")
    return asked is not False and not missing


def _trees(dataset: "Dataset", asked: bool | None) -> "tuple[tuple[Trees, ...], dict[str, str]]":
    """The kinds to train, and what the report says of Omikuji where they are left out.

    Raises:
        UserError: it was asked for, and the history is too little to learn from.
    """
    from streamproc.evaluation.baselines import Trees, learnable  # noqa: PLC0415 - a quick --help

    if learnable(dataset):
        return tuple(Trees), {}
    labelled = sum(bool(each.gold) for each in dataset.train)
    why = f"too few words stand in {labelled} labelled notes"
    if asked:
        raise UserError(f"--baselines: {why} for Omikuji to learn from: leave it out, or take more notes")
    return (), {"Omikuji": why}
