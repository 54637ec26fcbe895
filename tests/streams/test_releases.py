"""A worker follows the link to its bundle while it runs."""

import asyncio

import msgspec
import pytest

from streamproc.errors import BundleError, DependencyDownError, GraphMismatchError
from streamproc.inference.backend import load_bundle
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.calibration import Temperature
from streamproc.inference.calibration_file import CalibrationFile, models_digest
from streamproc.inference.onnx import load_models
from streamproc.inference.release import back, point_to
from streamproc.observability.clock import SystemClock
from streamproc.observability.metrics import REGISTRY
from streamproc.streams import releases as module
from streamproc.streams.releases import Release, Releases
from tests.bundles import NEXT, SHIPPED, bundle_name, bundle_with_another_encoder, next_bundle
from tests.streams.fixed import settings_for
from tests.streams.real_models import broker_for, eventually, notes, outcomes, running


class Named:
    """A pipeline that says which bundle it belongs to, once it may."""

    def __init__(self, version):
        self.version = version
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def tag(self, notes):
        await self.may_end.wait()
        return [(self.version, note) for note in notes]


class Server:
    """What a server of the models would answer."""

    def __init__(self):
        self.serving = {SHIPPED.version, NEXT}

    def probe(self, version):
        server = self

        class Probe:
            async def check(self):
                if version not in server.serving:
                    raise DependencyDownError("Triton", f"{version} is not served there")

        return Probe()


@pytest.fixture
def link(tmp_path):
    link = tmp_path / "current"
    point_to(link, default_bundle_path())
    return link


class World:
    """Releases over pipelines that only say their name, with what was closed."""

    def __init__(self, settings, models):
        self.closed = []
        self.server = Server()
        self.pipelines = {}

        def opening(bundle):
            version = bundle.manifest.version

            async def close():
                self.closed.append(version)

            self.pipelines[version] = Named(version)
            return Release(bundle, models, self.pipelines[version], self.server.probe(version), close)

        self.releases = Releases(settings, opening(load_bundle(settings)), opening, SystemClock())

    async def version(self):
        ((version, _),) = await self.releases.tag(["a note"])
        return version


@pytest.fixture
async def models():
    models = load_models(Bundle.load(default_bundle_path()), threads=1)
    yield models
    await models.close()


@pytest.fixture
def world(tmp_path, link, models):
    return World(settings_for("127.0.0.1:1", tmp_path, bundle=link), models)


async def test_it_changes_over_between_batches_and_closes_the_former_bundle_after_its_last_one(
    world, link, tmp_path
):
    await world.releases.look()
    assert await world.version() == SHIPPED.version
    world.pipelines[SHIPPED.version].may_end.clear()
    under_way = asyncio.create_task(world.version())
    await asyncio.sleep(0)
    point_to(link, next_bundle(tmp_path / "next").path)
    await world.releases.look()
    assert await world.version() == NEXT
    assert world.closed == []
    world.pipelines[SHIPPED.version].may_end.set()
    assert await under_way == SHIPPED.version
    assert world.closed == [SHIPPED.version]
    back(link)
    await world.releases.look()
    assert await world.version() == SHIPPED.version
    assert world.closed == [SHIPPED.version, NEXT]


async def test_another_calibration_file_is_taken_up_like_another_bundle(tmp_path, link, models):
    file = tmp_path / "calibration.json"
    fitting = models_digest(Bundle.load(default_bundle_path()))

    def write(calibration, digest=fitting):
        file.write_bytes(msgspec.json.encode(CalibrationFile(digest, calibration)))

    write(Temperature(2.0))
    world = World(settings_for("127.0.0.1:1", tmp_path, bundle=link, calibration=file), models)
    await world.releases.look()
    assert world.closed == []
    write(Temperature(3.0))
    await world.releases.look()
    assert world.releases.bundle.manifest.calibrator.map == Temperature(3.0)
    assert world.closed == [SHIPPED.version]
    # Fitted on other models it is refused, and work goes on.
    write(Temperature(4.0), "0" * 64)
    with pytest.raises(BundleError, match="was fitted on other models"):
        await world.releases.look()
    assert await world.version() == SHIPPED.version


async def test_while_the_server_lacks_the_models_it_goes_on_with_those_it_has(world, link, tmp_path):
    world.server.serving = {SHIPPED.version}
    point_to(link, next_bundle(tmp_path / "next").path)
    with pytest.raises(DependencyDownError):
        await world.releases.look()
    assert world.closed == [NEXT]
    assert await world.version() == SHIPPED.version
    world.server.serving = {SHIPPED.version, NEXT}
    await world.releases.look()
    assert await world.version() == NEXT


async def test_a_bundle_with_another_encoder_or_an_altered_one_is_never_used(
    world, link, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    watching = asyncio.create_task(world.releases.watch())

    async def waiting():
        return REGISTRY.get_sample_value("streamproc_release_waiting") == 1

    async def in_use():
        return REGISTRY.get_sample_value("streamproc_release_waiting") == 0

    other = bundle_with_another_encoder(tmp_path / "other")
    point_to(link, other.path)
    with pytest.raises(GraphMismatchError, match="graph reembed --bundle"):
        await world.releases.look()
    await eventually(waiting)
    assert await world.version() == SHIPPED.version
    back(link)
    await eventually(in_use)

    altered = next_bundle(tmp_path / "altered")
    altered.file("tagger/model.onnx").unlink()
    altered.file("tagger/model.onnx").write_bytes(b"something else")
    point_to(link, altered.path)
    await eventually(waiting)
    assert await world.version() == SHIPPED.version

    link.unlink()  # nothing there at all
    await eventually(waiting)
    point_to(link, next_bundle(tmp_path / "next").path)
    await eventually(in_use)
    assert await world.version() == NEXT
    watching.cancel()


async def test_outcomes_name_the_bundle_that_made_them_before_and_after_a_switch(tmp_path, link, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.1)
    with broker_for(tmp_path, bundle=link) as settings:
        async with running(settings) as (worker, client):
            await client.publish_many("notes.new", notes(10))
            before = await outcomes(client, 10)
            assert {each.models.bundle for each in before.values()} == {bundle_name()}
            point_to(link, next_bundle(tmp_path / "next").path)

            async def changed_over():
                await client.publish_many("notes.new", notes(2))
                records = await client.read_all("notes.tagged")
                return bundle_name(NEXT).encode() in records[-1].value

            await eventually(changed_over)
            await client.publish_many("notes.new", notes(10))

            async def all_by_the_next():
                found = await outcomes(client, 10)
                return {each.models.bundle for each in found.values()} == {bundle_name(NEXT)}

            await eventually(all_by_the_next)
            found = await outcomes(client, 10)
            assert {each.models.tagger for each in found.values()} == {NEXT}
            assert worker.health.ready
