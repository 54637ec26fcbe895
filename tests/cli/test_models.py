"""``streamproc models``, on a real Triton server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.cli.models import app
from streamproc.config import Settings
from streamproc.errors import BundleError, DependencyDownError, SettingsError
from streamproc.inference.bundle import Bundle, default_bundle_path, write_manifest
from streamproc.inference.model_repository import Profile, served_models, write_repository
from streamproc.inference.triton import connect
from tests.bundles import NEXT, bundle_name, bundle_with_another_encoder, next_bundle
from tests.servers.triton import TritonServer

HELD = {model.name: model.identity for model in served_models(Bundle.load(default_bundle_path()))}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "models"
    write_repository(Bundle.load(default_bundle_path()), directory, Profile.CPU)
    return directory


@pytest.fixture
def server(
    triton_server: TritonServer, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TritonServer]:
    del triton_server  # says why where Triton cannot be had
    with TritonServer(repository) as own:
        monkeypatch.setenv("STREAMPROC_TRITON_URL", own.url)
        yield own


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``STREAMPROC_BUNDLE``, a link to the shipped bundle."""
    path = tmp_path / "current"
    path.symlink_to(default_bundle_path())
    monkeypatch.setenv("STREAMPROC_BUNDLE", str(path))
    return path


def listed(runner: CliRunner) -> dict[tuple[str, int], tuple[str, str, str]]:
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 0, result.exception
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    return {(model, int(number)): (state, holds, use) for model, number, state, holds, use in rows}


async def checked(url: str) -> None:
    """A worker's probe of the shipped bundle."""
    connection = connect(Settings(triton_url=url), Bundle.load(default_bundle_path()))
    try:
        await connection.check()
    finally:
        await connection.close()


@pytest.mark.usefixtures("server")
def test_a_version_is_loaded_beside_the_one_in_use_switched_to_and_rolled_back(
    runner: CliRunner, repository: Path, link: Path, tmp_path: Path
) -> None:
    bundle = next_bundle(tmp_path / "next")
    loaded = runner.invoke(app, ["load", str(bundle.path), "--repository", str(repository)])
    assert loaded.exit_code == 0, loaded.exception
    assert (
        f"serves {bundle_name(NEXT)} as version 2 of tagger, calibrator; its values are those"
        in loaded.stdout
    )
    held = {model.name: model.identity for model in served_models(bundle)}
    served = {
        ("calibrator", 1): ("READY", HELD["calibrator"], "used"),
        ("calibrator", 2): ("READY", held["calibrator"], "-"),
        ("encoder", 1): ("READY", HELD["encoder"], "used"),
        ("tagger", 1): ("READY", HELD["tagger"], "used"),
        ("tagger", 2): ("READY", held["tagger"], "-"),
    }
    assert listed(runner) == served

    again = runner.invoke(app, ["load", str(bundle.path), "--repository", str(repository)])
    assert again.exit_code == 0, again.exception
    assert "serves every model of this bundle already" in again.stderr
    assert listed(runner) == served

    switched = runner.invoke(app, ["switch", str(bundle.path)])
    assert switched.exit_code == 0, switched.exception
    assert f"workers use {bundle_name(NEXT)} from now on" in switched.stdout
    assert link.resolve() == bundle.path
    now = listed(runner)
    assert [use for _, _, use in now.values()] == ["-", "used", "used", "-", "used"]

    back = runner.invoke(app, ["rollback"])
    assert back.exit_code == 0, back.exception
    assert f"workers use {bundle_name()} from now on" in back.stdout
    assert listed(runner) == served


@pytest.mark.usefixtures("server", "link")
def test_another_encoder_is_loaded_only_on_purpose_and_never_switched_to(
    runner: CliRunner, repository: Path, tmp_path: Path
) -> None:
    bundle = bundle_with_another_encoder(tmp_path / "other")
    load = ["load", str(bundle.path), "--repository", str(repository)]
    refused = runner.invoke(app, load).exception
    assert isinstance(refused, BundleError)
    assert f"streamproc graph reembed --bundle {bundle.path}" in str(refused)
    assert not list(repository.glob("*/2"))
    refused = runner.invoke(app, ["switch", str(bundle.path)]).exception
    assert isinstance(refused, SettingsError)
    assert "graph reembed" in str(refused)
    loaded = runner.invoke(app, [*load, "--another-encoder"])
    assert loaded.exit_code == 0, loaded.exception
    assert listed(runner)["encoder", 2] == ("READY", "ab" * 32, "-")
    assert listed(runner)["encoder", 1] == ("READY", HELD["encoder"], "used")


@pytest.mark.usefixtures("link")
def test_a_version_that_cannot_be_loaded_leaves_everything_as_it_was(
    runner: CliRunner, server: TritonServer, repository: Path, tmp_path: Path
) -> None:
    bundle = next_bundle(tmp_path / "next")
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    elsewhere = tmp_path / "elsewhere"
    refused = runner.invoke(app, ["load", str(bundle.path), "--repository", str(elsewhere)]).exception
    assert isinstance(refused, BundleError)
    assert f"that was written to {elsewhere}: is that its model repository?" in str(refused)
    assert not list(elsewhere.glob("*/2"))

    model = bundle.file("tagger/model.onnx")
    model.unlink()
    model.write_bytes(b"no model at all")
    write_manifest(bundle.path, bundle.manifest)
    refused = runner.invoke(app, ["load", str(bundle.path), "--repository", str(repository)]).exception
    assert isinstance(refused, BundleError)
    assert "cannot load tagger" in str(refused)
    assert {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()} == before
    now = listed(runner)
    assert {now[model, 1][2] for model in ("encoder", "tagger", "calibrator")} == {"used"}
    assert now["tagger", 2][0].startswith("UNAVAILABLE: ")
    asyncio.run(checked(server.url))
    server.kill()
    server.start()
    assert [use for _, _, use in listed(runner).values()] == ["used", "used", "used"]


@pytest.mark.usefixtures("link")
def test_a_server_that_loads_nothing_on_request_is_told_how_to_start(
    runner: CliRunner,
    triton_server: TritonServer,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del triton_server
    bundle = next_bundle(tmp_path / "next")
    with TritonServer(repository, on_request=False) as server:
        monkeypatch.setenv("STREAMPROC_TRITON_URL", server.url)
        refused = runner.invoke(app, ["load", str(bundle.path), "--repository", str(repository)]).exception
    assert isinstance(refused, SettingsError)
    assert "--model-control-mode=explicit" in str(refused)


def test_without_a_server_the_address_is_named(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_TRITON_URL", "127.0.0.1:1")
    refused = runner.invoke(app, ["list"]).exception
    assert isinstance(refused, DependencyDownError)
    assert "127.0.0.1:1" in str(refused)


def test_without_a_link_nothing_can_be_switched(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = next_bundle(tmp_path / "next")
    monkeypatch.delenv("STREAMPROC_BUNDLE", raising=False)
    refused = runner.invoke(app, ["switch", str(bundle.path)]).exception
    assert isinstance(refused, SettingsError)
    assert "STREAMPROC_BUNDLE is not set" in str(refused)
    monkeypatch.setenv("STREAMPROC_BUNDLE", str(bundle.path))
    refused = runner.invoke(app, ["rollback"]).exception
    assert isinstance(refused, SettingsError)
    assert "is a bundle itself" in str(refused)
