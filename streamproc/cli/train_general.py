"""``streamproc train general``: the bundle that ships, made anew from the datasets that it names."""

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.bundles import BundleOption, open_base, say, vector_cache
from streamproc.cli.outputs import require_new_directory
from streamproc.config import load_settings
from streamproc.errors import UserError
from streamproc.extras import how_to_install

__all__ = ["train_general"]


def train_general(
    data: Annotated[
        Path,
        typer.Option(
            help="Directory that holds a directory for each dataset the bundle names; the hash of every file is checked.",
            file_okay=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory of the new bundle; missing or empty.")
    ],
    bundle: BundleOption = None,
) -> None:
    """Make the bundle that ships anew: export the encoder, train tagger and calibrator on the data it was trained on.

    Seeds, data and their hashes stand in its manifest. What differs from it in the end is named: another version of this
    program or of torch, or another kind of processor, comes to other weights.

    Example: streamproc train general --data datasets -o bundles/general
    """
    from streamproc.training.provenance import find_sets  # noqa: PLC0415 - a quick --help

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty: name a new directory for the bundle")
    require_new_directory(output)
    shipped = open_base(bundle).manifest
    if shipped.training is None or not shipped.training.sets:
        raise UserError(
            f"bundle {shipped.name}-{shipped.version} does not say what it learnt from: train it with streamproc train tagger"
        )
    if shipped.tagger is not None and (shipped.tagger.text or shipped.tagger.held_out):
        raise UserError(
            f"the tagger of bundle {shipped.name}-{shipped.version} reads the text or held notes out: use streamproc train tagger"
        )
    say("checking the data")
    directories = find_sets(shipped.training, data)
    try:
        from streamproc.training.general import make_again  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(
            f"training needs what is not installed ({error.name}): {how_to_install('train')}"
        ) from None
    made = make_again(
        shipped,
        directories,
        output,
        vectors=vector_cache,
        threads=load_settings().inference_threads,
        say=say,
    )
    for name, digest in made.files.items():
        same = digest == shipped.files.get(name)
        typer.echo(f"{output / name}: {'the same' if same else 'differs'}")
