"""``streamproc calibrate``: what is fitted to labelled history without training any model."""

import msgspec
import typer

from streamproc.cli.bundles import (
    BundleOption,
    Datasets,
    Output,
    open_bundle,
    prepare_datasets,
    say,
    write_bundle,
)
from streamproc.errors import UserError

__all__ = ["app"]

app = typer.Typer(
    help="Fit recall or confidences of a bundle to labelled data.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("recall")
def calibrate_recall(datasets: Datasets, output: Output, bundle: BundleOption = None) -> None:
    """Fit recall (how the paths to a tag are weighed) to the encoder on labelled history.

    Tagger and calibrator were trained on what the old recall brings: train them again afterwards.
    """
    from streamproc.graph.thresholds import FITTED  # noqa: PLC0415 - a quick --help
    from streamproc.training.fusion import fit_recall, recall_fit  # noqa: PLC0415 - a quick --help

    base = open_bundle(bundle)
    prepared = prepare_datasets(datasets, base)
    say("fitting recall")
    fitted = recall_fit(fit_recall(prepared, FITTED), [each.dataset.name for each in prepared])
    write_bundle(base, output, msgspec.structs.replace(base.manifest, recall=fitted))
    for name, weight in fitted.fusion.items():
        typer.echo(f"{name}\t{weight:g}")


@app.command("confidence")
def calibrate_confidence(datasets: Datasets, output: Output, bundle: BundleOption = None) -> None:
    """Fit the calibration map to valid, on the exported calibrator that is served."""
    import numpy as np  # noqa: PLC0415 - a quick --help

    from streamproc.graph.thresholds import Thresholds  # noqa: PLC0415 - a quick --help
    from streamproc.training.calibration import fit_map  # noqa: PLC0415 - a quick --help
    from streamproc.training.rows import valid_rows  # noqa: PLC0415 - a quick --help

    base = open_bundle(bundle)
    calibrator = base.manifest.calibrator
    if calibrator is None:
        raise UserError(f"{base.path} has no calibrator yet: streamproc train tagger makes one")
    thresholds = Thresholds.of(base.manifest.recall)
    random = np.random.default_rng(0)
    rows = [valid_rows(each, thresholds, random) for each in prepare_datasets(datasets, base)]
    fitted = fit_map(base, rows)
    calibrator = msgspec.structs.replace(calibrator, map=fitted)
    write_bundle(base, output, msgspec.structs.replace(base.manifest, calibrator=calibrator))
    typer.echo(fitted)
