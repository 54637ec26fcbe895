"""``streamproc export``: what other programs need of a bundle."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from streamproc.cli.bundles import require_readable
from streamproc.config import load_settings
from streamproc.errors import InputFileError

__all__ = ["app"]

app = typer.Typer(
    help="Write a model bundle in the form another program serves.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

# Two directories: a GPU's float models must not end up among the files that are kept under version control.
_DIRECTORIES = {"cpu": Path("triton_models"), "gpu": Path("triton_models_gpu")}


@app.callback()
def export() -> None:
    """Write a model bundle in the form another program serves."""


@app.command()
def triton(
    profile: Annotated[
        Literal["cpu", "gpu"],
        typer.Option(help="cpu: the bundle's int8 files as they are; gpu: their float form for TensorRT."),
    ] = "cpu",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The model repository; triton_models, or triton_models_gpu, unless given.",
            file_okay=False,
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="The model bundle; the configured one unless given.", file_okay=False)
    ] = None,
    model_version: Annotated[int, typer.Option(help="Number of the models' version.", min=1)] = 1,
) -> None:
    """Write the Triton model repository of a bundle.

    Example: streamproc export triton

    Example: streamproc export triton --profile gpu -o /srv/models
    """
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415 - a quick --help
    from streamproc.inference.bundle import Bundle  # noqa: PLC0415
    from streamproc.inference.model_repository import Profile, write_repository  # noqa: PLC0415

    loaded = load_bundle(load_settings()) if bundle is None else Bundle.load(bundle)
    require_readable(loaded)
    directory = output or _DIRECTORIES[profile]
    try:
        files = write_repository(loaded, directory, Profile(profile), model_version)
    except OSError as error:
        raise InputFileError(
            f"{error.filename or directory} cannot be written: {error.strerror or error}"
        ) from None
    for file in files:
        typer.echo(file)
