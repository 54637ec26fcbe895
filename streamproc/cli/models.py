"""``streamproc models``: which models are served, and which of them the workers use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamproc.cli.running import run
from streamproc.config import Settings, load_settings
from streamproc.errors import SettingsError

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.inference.bundle import Bundle
    from streamproc.inference.model_repository import Profile

__all__ = ["app"]

app = typer.Typer(
    help="The models that are served, and which of them the workers use.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

BundlePath = Annotated[Path, typer.Argument(help="The directory of a model bundle.", file_okay=False)]


@app.callback()
def models() -> None:
    """Serve models, and which of them the workers use."""


@app.command("list")
def list_versions() -> None:
    """Print what Triton serves, a line a version: model, version, state, what it holds, and whether it is used.

    'used' marks the versions that a worker with these settings asks: the newest that hold the weights of its bundle.

    Example: streamproc models list
    """
    run(_list(load_settings()))


@app.command()
def load(
    bundle: BundlePath,
    repository: Annotated[
        Path,
        typer.Option(
            "--repository",
            "-r",
            help="The server's model repository, as this machine sees it.",
            file_okay=False,
        ),
    ] = Path("triton_models"),
    profile: Annotated[
        Literal["cpu", "gpu"],
        typer.Option(help="cpu: the bundle's int8 files as they are; gpu: their float form for TensorRT."),
    ] = "cpu",
    url: Annotated[
        list[str] | None,
        typer.Option(help="A server; repeat it for every replica. STREAMPROC_TRITON_URL unless given."),
    ] = None,
    *,
    another_encoder: Annotated[
        bool,
        typer.Option("--another-encoder", help="The bundle may bring another encoder (see graph reembed)."),
    ] = False,
) -> None:
    """Put a bundle's models on Triton under the next version number, beside those that serve.

    Waits until they are ready and compares their values with those of the same models in this process. Workers go on
    with the models they have until 'streamproc models switch'.

    Example: streamproc models load /srv/bundles/general-3 --repository /srv/triton_models
    """
    from streamproc.inference.bundle import Bundle  # noqa: PLC0415 - a quick --help
    from streamproc.inference.model_repository import Profile  # noqa: PLC0415

    settings = load_settings()
    loaded = Bundle.load(bundle)
    for each in url or [settings.triton_url]:
        server = settings.model_copy(update={"triton_url": each})
        run(_load(server, loaded, repository, Profile(profile), another_encoder=another_encoder))


@app.command()
def switch(bundle: BundlePath) -> None:
    """Let every worker use this bundle, from one moment to the next and without a restart.

    STREAMPROC_BUNDLE must be a symbolic link that all workers see; it is pointed to the bundle. Workers change over
    within seconds, each once its Triton serves the bundle's models. A bundle with another encoder is refused.

    Example: STREAMPROC_BUNDLE=/srv/bundles/current streamproc models switch /srv/bundles/general-3
    """
    from streamproc.inference.bundle import Bundle  # noqa: PLC0415 - a quick --help
    from streamproc.inference.release import point_to  # noqa: PLC0415

    settings = load_settings()
    link = _release(settings)
    loaded = Bundle.load(bundle)
    if link.exists():
        _require_same_encoder(Bundle.load(link), loaded)
    point_to(link, bundle)
    _say_released(loaded)


@app.command()
def rollback() -> None:
    """Let every worker use the bundle that it used before the last switch.

    Its models are still on Triton, so nothing is loaded. A second call comes forward again.

    Example: STREAMPROC_BUNDLE=/srv/bundles/current streamproc models rollback
    """
    from streamproc.inference.bundle import Bundle  # noqa: PLC0415 - a quick --help
    from streamproc.inference.release import back, previous_of  # noqa: PLC0415

    link = _release(load_settings())
    if previous_of(link).exists() and link.exists():
        _require_same_encoder(Bundle.load(link), Bundle.load(previous_of(link)))
    _say_released(Bundle.load(back(link)))


async def _list(settings: Settings) -> None:
    from streamproc.inference.backend import load_bundle  # noqa: PLC0415 - a quick --help
    from streamproc.inference.model_repository import served_models  # noqa: PLC0415
    from streamproc.inference.triton_control import triton_control  # noqa: PLC0415

    bundle = load_bundle(settings)
    async with triton_control(settings) as control:
        versions = await control.versions()
    wanted = {model.name: model.identity for model in served_models(bundle)}
    used = {
        each.model: each.number  # in order of number: the last one stays
        for each in versions
        if each.ready
        and each.identity == wanted.get(each.model)
        and settings.triton_model_version in {0, each.number}
    }
    for each in versions:
        mark = "used" if used.get(each.model) == each.number else "-"
        typer.echo("\t".join((each.model, str(each.number), each.state, each.identity or "-", mark)))
    manifest = bundle.manifest
    for model in wanted.keys() - used.keys():
        typer.echo(
            f"{settings.triton_url} serves no {model} of {manifest.name}-{manifest.version} ({bundle.path}); "
            f"load it: streamproc models load {bundle.path}",
            err=True,
        )


async def _load(
    settings: Settings, bundle: "Bundle", repository: Path, profile: "Profile", *, another_encoder: bool
) -> None:
    from streamproc.inference.rollout import Rollout  # noqa: PLC0415 - a quick --help

    rollout = Rollout(bundle, repository, profile, another_encoder, lambda said: typer.echo(said, err=True))
    loaded = await rollout.load(settings)
    manifest = bundle.manifest
    what = "" if loaded.number is None else f" as version {loaded.number} of {', '.join(loaded.models)}"
    typer.echo(
        f"{settings.triton_url} serves {manifest.name}-{manifest.version}{what}; its values are those in this process "
        f"to {loaded.agreement.largest:.1g}"
    )


def _release(settings: Settings) -> Path:
    if settings.bundle is None:
        raise SettingsError(
            "STREAMPROC_BUNDLE is not set, so every worker uses the bundle of its installation: set it to a symbolic link "
            "that all workers see, and point that to the bundle they are to use."
        )
    return settings.bundle.expanduser()


def _require_same_encoder(current: "Bundle", other: "Bundle") -> None:
    if current.manifest.encoder.float_sha256 != other.manifest.encoder.float_sha256:
        raise SettingsError(
            f"{other.path} has another encoder than {current.path.resolve()}: workers cannot change over to it while they "
            f"run. Embed the graph anew with `streamproc graph reembed --bundle {other.path}`, then restart the workers "
            "with it; the operations page describes the steps."
        )


def _say_released(bundle: "Bundle") -> None:
    manifest = bundle.manifest
    typer.echo(f"workers use {manifest.name}-{manifest.version} from now on ({bundle.path.resolve()})")
