"""A bundle's models put on a running Triton server, beside those that serve, and tried before anybody uses them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamproc.config import Inference, Settings
from streamproc.errors import BundleError
from streamproc.inference.agreement import Agreement, compare, require_agreement
from streamproc.inference.bundle import Bundle, write_manifest
from streamproc.inference.model_repository import (
    ENCODER,
    Profile,
    ServedModel,
    served_models,
    write_repository,
)
from streamproc.inference.onnx import load_models
from streamproc.inference.triton import connect, load_triton_models
from streamproc.inference.triton_control import Version, triton_control
from streamproc.inference.triton_float_form import float_form

__all__ = ["Loaded", "Rollout", "in_form_of"]

TOLERANCE = {Profile.CPU: 1e-3, Profile.GPU: 5e-3}
"""How far Triton's values may be from those in process: of the same file, or of its float form run as fp16."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a rollout did on one server.

    Attributes:
        number: of the new version; None where everything was served already.
        models: those that got the new version.
        agreement: with the models run in this process.
    """

    number: int | None
    models: tuple[str, ...]
    agreement: Agreement


@dataclass(frozen=True)
class Rollout:
    """Loads a bundle into a server.

    Attributes:
        bundle: verified and complete.
        directory: the server's model repository, as this machine sees it.
        profile: where Triton runs it.
        another_encoder: whether the bundle may bring another encoder than the one that is served.
        say: told what is done, a sentence each.
    """

    bundle: Bundle
    directory: Path
    profile: Profile
    another_encoder: bool
    say: Say

    async def load(self, settings: Settings) -> Loaded:
        """Write what is missing, load it, and compare its values with those in this process.

        Traffic goes on meanwhile; workers do not use the new version before their bundle is switched.

        Args:
            settings: address and credentials of the server.

        Raises:
            BundleError: another encoder is served; the server cannot load the models; or it gives other values.
            SettingsError: the server loads nothing on request, or reads another directory.
            DependencyDownError: it does not answer.
        """
        async with triton_control(settings) as control:
            present = await control.versions()
            missing = [model for model in served_models(self.bundle) if not _is_served(model, present)]
            self._require_same_encoder(missing, present)
            number = None
            if missing:
                number = 1 + max((*(each.number for each in present), *_numbers(self.directory)), default=0)
                names = [model.name for model in missing]
                with _taken_back_on_failure(self.directory, names, number):
                    write_repository(self.bundle, self.directory, self.profile, number, names)
                    for name in names:
                        self.say(f"{settings.triton_url} loads version {number} of {name}")
                        await control.load(name)
                    _require_seen(missing, await control.versions(), self.directory, settings.triton_url)
            else:
                names = []
                self.say(f"{settings.triton_url} serves every model of this bundle already")
        return Loaded(number, tuple(names), await self._tried(settings))

    def _require_same_encoder(self, missing: Sequence[ServedModel], present: Sequence[Version]) -> None:
        others = [each for each in present if each.model == ENCODER and each.ready]
        if self.another_encoder or not others or all(model.name != ENCODER for model in missing):
            return
        manifest = self.bundle.manifest
        raise BundleError(
            f"{manifest.name}-{manifest.version} brings another encoder ({manifest.encoder.float_sha256[:16]}…, and "
            f"{others[-1].identity[:16]}… is served): its vectors cannot be compared with those in the graph, which has "
            "to be embedded anew first. Load it with --another-encoder, then run `streamproc graph reembed --bundle "
            f"{self.bundle.path}`; the operations page describes the steps"
        )

    async def _tried(self, settings: Settings) -> Agreement:
        connection = connect(settings, self.bundle)
        try:
            await connection.check()
        finally:
            await connection.close()
        tagger = self.bundle.manifest.tagger
        features = 0 if tagger is None else len(tagger.features)
        theirs = load_triton_models(settings.model_copy(update={"inference": Inference.TRITON}), self.bundle)
        try:
            with in_form_of(self.profile, self.bundle) as reference:
                ours = load_models(reference, settings.inference_threads)
                try:
                    agreement = await compare(ours, theirs, features)
                finally:
                    await ours.close()
        finally:
            await theirs.close()
        require_agreement(agreement, TOLERANCE[self.profile])
        return agreement


def _is_served(model: ServedModel, present: Sequence[Version]) -> bool:
    return any(
        each.model == model.name and each.ready and each.identity == model.identity for each in present
    )


def _numbers(directory: Path) -> Iterator[int]:
    for version in directory.glob("*/*"):
        if version.is_dir() and version.name.isdecimal():
            yield int(version.name)


def _require_seen(
    models: Sequence[ServedModel], present: Sequence[Version], directory: Path, url: str
) -> None:
    for model in models:
        if not _is_served(model, present):
            raise BundleError(
                f"Triton at {url} serves no version of {model.name} that was written to {directory}: is that its model "
                "repository? Name it with --repository"
            )


@contextmanager
def _taken_back_on_failure(directory: Path, models: Sequence[str], number: int) -> Iterator[None]:
    """A version that does not load must not be in the way of the server's next start."""
    before = {
        config: config.read_bytes() if config.exists() else None
        for config in (directory / name / "config.pbtxt" for name in models)
    }
    try:
        yield
    except BaseException:
        for config, content in before.items():
            shutil.rmtree(config.parent / str(number), ignore_errors=True)
            if content is None:
                config.unlink(missing_ok=True)
            else:
                config.write_bytes(content)
        raise


@contextmanager
def in_form_of(profile: Profile, bundle: Bundle) -> Iterator[Bundle]:
    """The bundle in the form that the profile serves: what its values are to be compared with.

    Args:
        profile: for GPUs, a copy whose models are in their float form; it is gone after the block.
        bundle: verified.

    Raises:
        BundleError: a model has no float form.
        UserError: the gpu profile needs a package that is not installed.
    """
    if profile is Profile.CPU:
        yield bundle
        return
    with tempfile.TemporaryDirectory(prefix="streamproc-") as place:
        path = Path(place)
        models = {model.file for model in served_models(bundle)}
        for name in bundle.manifest.files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            if name in models:
                (path / name).write_bytes(float_form(bundle.file(name)))
            else:
                shutil.copyfile(bundle.file(name), path / name)
        yield Bundle(path, write_manifest(path, bundle.manifest))
