"""What the commands around a bundle share: opening it, preparing datasets for it, writing a new one."""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.config import load_settings
from streamproc.errors import InputFileError, UserError

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.evaluation.dataset import Dataset
    from streamproc.evaluation.prepared import Prepared
    from streamproc.evaluation.vectors import VectorCache
    from streamproc.inference.bundle import Bundle
    from streamproc.inference.manifest import Manifest
    from streamproc.inference.protocols import Encoder

__all__ = [
    "BundleOption",
    "Datasets",
    "Output",
    "open_base",
    "open_bundle",
    "prepare_datasets",
    "require_bundle_output",
    "require_named",
    "require_readable",
    "say",
    "vector_cache",
    "write_bundle",
]

Datasets = Annotated[
    list[Path],
    typer.Argument(help="Directories with train.jsonl, valid.jsonl, test.jsonl and tags.jsonl."),
]
BundleOption = Annotated[
    Path | None, typer.Option("--bundle", help="The bundle; that of the settings unless given.")
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="Directory of the new bundle; made from --bundle where missing."),
]


def open_bundle(path: Path | None) -> "Bundle":
    """The bundle at the path, or else that of the settings, or else the one that ships.

    Raises:
        BundleError: a file is missing or was altered, or its tagger was trained on other evidence.
    """
    bundle = open_base(path)
    require_readable(bundle)
    return bundle


def open_base(path: Path | None) -> "Bundle":
    """The same, whatever its tagger reads: for what takes its encoder, to train another tagger above all.

    Raises:
        BundleError: a file is missing or was altered.
    """
    from streamproc.inference.bundle import Bundle, default_bundle_path  # noqa: PLC0415 - a quick --help

    return Bundle.load((path or load_settings().bundle or default_bundle_path()).expanduser())


def require_named(**options: str) -> None:
    """Refuse an empty name or version: every output records it, and nobody could tell whose it is.

    Args:
        options: name of an option → what was given.

    Raises:
        UserError: one is empty.
    """
    for option, given in options.items():
        if not given.strip():
            raise UserError(f"--{option} is {given!r}: give it something to be told from others by")


def require_readable(bundle: "Bundle") -> None:
    """Make sure that the tagger, if there is one, reads the evidence that is gathered.

    Raises:
        BundleError: it was trained on other evidence.
    """
    from streamproc.graph.evidence import check_readable  # noqa: PLC0415 - a quick --help

    if bundle.manifest.tagger is not None:
        check_readable(bundle.manifest.tagger.features)


def prepare_datasets(
    directories: Sequence[Path],
    bundle: "Bundle",
    taken: "Callable[[Dataset], Dataset]" = lambda dataset: dataset,
) -> "list[Prepared]":
    """Read and encode datasets, each with its train as history; vectors are kept in the cache.

    Args:
        directories: of the datasets.
        bundle: its encoder embeds them.
        taken: what to take of each; raises where it cannot be used. Asked of all of them before the first is encoded.

    Raises:
        UserError: one is named twice, or cannot be used.
    """
    from streamproc.evaluation.dataset import read_dataset  # noqa: PLC0415 - a quick --help
    from streamproc.evaluation.prepared import prepare  # noqa: PLC0415 - a quick --help
    from streamproc.inference.onnx import load_encoder  # noqa: PLC0415 - a quick --help

    datasets = []
    if len({directory.resolve() for directory in directories}) < len(directories):
        raise UserError("a dataset is named twice: name each once")
    for directory in directories:
        say(f"reading {directory}")
        datasets.append(taken(read_dataset(directory)))
    encoder = load_encoder(bundle, load_settings().inference_threads)
    cache = vector_cache(encoder, bundle)
    prepared = [prepare(dataset, cache) for dataset in datasets]
    encoder.pool.close()
    return prepared


def require_bundle_output(output: Path) -> None:
    """Refuse a directory of a new bundle that holds something else; a bundle that is there is written anew.

    Raises:
        InputFileError: it is a file, or other files would stand among the bundle's.
    """
    if output.exists() and not output.is_dir():
        raise InputFileError(f"{output} is a file: name a directory for the bundle")
    if output.is_dir() and any(output.iterdir()) and not (output / "manifest.json").is_file():
        raise InputFileError(f"{output} is not empty and no bundle: name a new directory for the bundle")


def vector_cache(encoder: "Encoder", bundle: "Bundle") -> "VectorCache":
    """The vectors that are kept for this bundle's encoder."""
    from streamproc.evaluation.vectors import VectorCache  # noqa: PLC0415 - a quick --help

    return VectorCache(
        encoder,
        bundle.manifest.files[bundle.manifest.encoder.file],
        load_settings().cache_dir / "vectors",
        progress=lambda done, total: say(f"encoded {done:,} of {total:,}") if not done % 4096 else None,
    )


def write_bundle(base: "Bundle", output: Path, manifest: "Manifest") -> None:
    """Write the base bundle's files and another manifest, as a whole or not at all; the base itself may be the output.

    Figures are left out: they were measured with the base. So is its card, but where the base is written over.
    """
    import msgspec  # noqa: PLC0415 - a quick --help

    from streamproc.inference.bundle import MODEL_CARD_FILE, made_whole, write_manifest  # noqa: PLC0415

    left_out = () if output.resolve() == base.path.resolve() else (MODEL_CARD_FILE,)
    with made_whole(output) as made:
        shutil.copytree(base.path, made, ignore=shutil.ignore_patterns(*left_out))
        write_manifest(made, msgspec.structs.replace(manifest, figures={}))


def say(line: str) -> None:
    """Tell a person what is being done."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress
