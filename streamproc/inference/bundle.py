"""A model bundle: a directory of ONNX files, a tokenizer and the manifest that names and hashes them."""

import importlib.resources
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from streamproc.errors import BundleError
from streamproc.inference.digest import sha256_file
from streamproc.inference.manifest import FORMAT, MANIFEST_FILE, Manifest

__all__ = ["MODEL_CARD_FILE", "Bundle", "default_bundle_path", "made_whole", "write_manifest"]

MODEL_CARD_FILE = "MODEL_CARD.md"
"""What people read about a bundle's models: it does not go over to a bundle with others."""


def default_bundle_path() -> Path:
    """The directory of the bundle that is installed with the package."""
    return Path(str(importlib.resources.files("streamproc"))) / "bundles" / "general"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files are present and unaltered.

    Attributes:
        path: its directory.
        manifest: what it says about itself.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def load(cls, path: Path) -> "Bundle":
        """Read the manifest and verify the hash of every file it names.

        Args:
            path: the bundle's directory.

        Raises:
            BundleError: the manifest is missing, malformed or of another format, or a file is
                missing, altered or outside the bundle.
        """
        manifest = _read_manifest(path / MANIFEST_FILE)
        for name, expected in manifest.files.items():
            _verify(path, name, expected)
        for name in _files_in_use(manifest):
            if name not in manifest.files:
                raise BundleError(
                    f"{path / MANIFEST_FILE} uses {name} but records no hash of it: export the bundle again"
                )
        return cls(path, manifest)

    def file(self, name: str) -> Path:
        """The full path of a file named in the manifest."""
        return self.path / name


def write_manifest(path: Path, manifest: Manifest) -> Manifest:
    """Write the manifest with fresh hashes of all files it uses, and return it.

    Args:
        path: the bundle's directory, its files already in place.
        manifest: what to record; its ``files`` are computed anew.

    Raises:
        BundleError: a file it uses is not in the directory.
    """
    for name in _files_in_use(manifest):
        if not (path / name).is_file():
            raise BundleError(f"{path / name} is missing: write the model files before the manifest")
    hashed = msgspec.structs.replace(
        manifest, files={name: sha256_file(path / name) for name in sorted(_files_in_use(manifest))}
    )
    encoded = msgspec.json.format(msgspec.json.encode(hashed), indent=2)
    (path / MANIFEST_FILE).write_bytes(encoded + b"\n")
    return hashed


@contextmanager
def made_whole(output: Path) -> Iterator[Path]:
    """A path beside the output at which to make a bundle; it takes the output's place when the block ends.

    Until then a bundle that is there stays as it is, and where the block raises nothing is left of the new one. Files
    that people keep beside a bundle's stay.

    Args:
        output: the bundle's directory; of a link, the directory that it points to.
    """
    output = output.resolve()
    made, before = (output.with_name(f"{output.name}.{part}") for part in ("partial", "before"))
    # What a run left that was killed: a half-made bundle, or, in the very moment of the exchange, the one to be exchanged.
    shutil.rmtree(made, ignore_errors=True)
    if before.exists() and not output.exists():
        before.rename(output)
    try:
        yield made
        if output.exists():
            _keep_what_is_no_models(output, made)
            shutil.rmtree(before, ignore_errors=True)
            output.rename(before)
            try:
                made.rename(output)
            except OSError:
                before.rename(output)
                raise
            shutil.rmtree(before)
        else:
            made.rename(output)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _keep_what_is_no_models(output: Path, made: Path) -> None:
    for file in output.rglob("*"):
        kept = made / file.relative_to(output)
        if file.is_file() and not kept.exists() and file.suffix != ".onnx" and file.name != MODEL_CARD_FILE:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, kept)


def _files_in_use(manifest: Manifest) -> Iterable[str]:
    yield manifest.encoder.file
    yield manifest.encoder.tokenizer
    if manifest.tagger is not None:
        yield manifest.tagger.file
    if manifest.calibrator is not None:
        yield manifest.calibrator.file


def _read_manifest(file: Path) -> Manifest:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{file} cannot be read ({error.strerror}): point to a directory that holds a model bundle"
        ) from error
    try:
        # The format is read first: another one may have another layout.
        found = msgspec.json.decode(content, type=_Format).format
        if found == FORMAT:
            return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{file} is not a bundle manifest ({error}): export the bundle again") from error
    raise BundleError(
        f"{file} has format {found}, this version reads format {FORMAT}: use a bundle exported for it"
    )


class _Format(msgspec.Struct):
    format: int


def _verify(path: Path, name: str, expected: str) -> None:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise BundleError(f"{path / MANIFEST_FILE} names {name}, outside the bundle: do not use this bundle")
    try:
        actual = sha256_file(path / name)
    except OSError as error:
        raise BundleError(
            f"{path / name} cannot be read ({error.strerror}): the bundle is incomplete, copy it again"
        ) from error
    if actual != expected:
        raise BundleError(
            f"{path / name} has SHA-256 {actual[:12]}… where the manifest records {expected[:12]}…: "
            "the file was altered or cut short, copy the bundle again"
        )
