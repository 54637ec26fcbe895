"""``streamproc train encoder``: an encoder whose vectors bring together the notes that belong together."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streamproc.cli.bundles import Datasets, open_base, require_named, say, vector_cache
from streamproc.cli.outputs import require_new_directory
from streamproc.cli.progress import loading_progress
from streamproc.config import load_settings
from streamproc.errors import UserError
from streamproc.extras import how_to_install

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.inference.bundle import Bundle
    from streamproc.training.encoder_data import EncoderData
    from streamproc.training.vector_teacher import VectorTeacher

__all__ = ["train_encoder"]


def train_encoder(  # noqa: PLR0917 - the options of a command line
    datasets: Datasets,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory of the new bundle; missing or empty.")
    ],
    base: Annotated[
        Path | None,
        typer.Option(
            help="Directory of another sentence encoder to start from, as sentence-transformers publishes them: a larger one "
            "ranks better and costs more. all-MiniLM-L6-v2 unless given.",
            file_okay=False,
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help='Notes that people view together, lines of {"a": id, "b": id, "weight"?: number}, '
            "instead of notes that share tags.",
            dir_okay=False,
        ),
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="Weight of the tag objective beside that of the pairs, which is 1.", min=0)
    ] = 1.0,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="A bundle whose larger encoder teaches: how near it finds notes and tags to each other is learnt as well.",
            file_okay=False,
        ),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="Weight of the teacher, likewise.", min=0, show_default="4 with a teacher"),
    ] = None,
    epochs: Annotated[
        int,
        typer.Option(
            help="Passes over the notes; the best on valid is kept. 0 exports the encoder as it is.",
            min=0,
        ),
    ] = 2,
    notes: Annotated[int, typer.Option(help="Notes drawn from each train in an epoch.", min=2)] = 20_000,
    learning_rate: Annotated[
        float, typer.Option(help="Its peak; larger encoders want a lower one, such as 4e-5.", min=0, max=0.1)
    ] = 1e-4,
    name: Annotated[str, typer.Option(help="Of the bundle.")] = "encoder",
    version: Annotated[str, typer.Option(help="Of the bundle.")] = "1",
    seed: Annotated[int, typer.Option(help="Of every draw.", min=0)] = 0,
) -> None:
    """Fine-tune a sentence encoder on pairs of related notes and on their tags.

    Related notes share tags, the more and the rarer the better. Bring the same command again to go on with a run that
    was interrupted. The new bundle holds the encoder alone: a tagger and a calibrator must be trained on what it sees,
    and a graph that another encoder filled must be embedded anew. What to run next is printed at the end.

    Example: streamproc train encoder data/nyt_keywords -o bundles/news
    """
    from streamproc.evaluation.dataset import read_dataset  # noqa: PLC0415 - a quick --help
    from streamproc.training.base_encoder import read_base  # noqa: PLC0415
    from streamproc.training.encoder_data import encoder_data  # noqa: PLC0415
    from streamproc.training.pairs import read_co_viewed  # noqa: PLC0415
    from streamproc.training.provenance import training_set  # noqa: PLC0415
    from streamproc.training.recipe import Recipe  # noqa: PLC0415

    require_named(name=name, version=version)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty: name a new directory for the bundle")
    require_new_directory(output)
    if teacher is None and beta is not None:
        raise UserError("--beta is the weight of a teacher: name one with --teacher, or leave --beta out")
    if teacher is not None and not epochs:
        raise UserError("--epochs 0 exports the encoder as it is: leave --teacher out")
    start = None if base is None else read_base(base)
    taught_by = None if teacher is None else open_base(teacher)
    recipe = Recipe(alpha=alpha, epochs=epochs, notes_an_epoch=notes, seed=seed, learning_rate=learning_rate)
    if beta is not None:
        recipe = msgspec.structs.replace(recipe, beta=beta)
    co_viewed = read_co_viewed(pairs) if pairs else []
    data = encoder_data([read_dataset(each) for each in datasets], recipe, co_viewed)
    try:
        from streamproc.training.encoder import train_encoder as train  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(
            f"training needs what is not installed ({error.name}): {how_to_install('train')}"
        ) from None
    if taught_by is not None:
        data = replace(data, teacher=_teacher(taught_by, data))
    with loading_progress() as progress:
        manifest = train(
            data,
            output,
            recipe,
            name=name,
            version=version,
            base=start,
            sets=tuple(training_set(each) for each in datasets),
            threads=load_settings().inference_threads,
            progress=progress,
            say=say,
        )
    typer.echo(f"{output}: {manifest.name}-{manifest.version}, the encoder alone")
    sets = " ".join(str(each) for each in datasets)
    say(
        "it has no tagger, calibrator or fitted recall yet; next:\n"
        f"  streamproc calibrate recall {sets} --bundle {output} -o {output}\n"
        f"  streamproc train tagger {sets} --bundle {output} -o {output}"
    )


def _teacher(bundle: "Bundle", data: "EncoderData") -> "VectorTeacher":
    """What the bundle's encoder makes of all notes and tags; vectors are kept in the cache."""
    from streamproc.inference.onnx import load_encoder  # noqa: PLC0415 - a quick --help
    from streamproc.training.vector_teacher import vector_teacher  # noqa: PLC0415

    manifest = bundle.manifest
    say(f"{manifest.name}-{manifest.version} reads all notes and tags")
    encoder = load_encoder(bundle, load_settings().inference_threads)
    try:
        return vector_teacher(
            f"{manifest.name}-{manifest.version}",
            manifest.files[manifest.encoder.file],
            vector_cache(encoder, bundle),
            data.sets,
        )
    finally:
        encoder.pool.close()
