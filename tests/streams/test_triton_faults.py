"""The worker's whole stream with the models on a real Triton server, and what befalls that server.

No note may be lost or dead-lettered for it, and no worker may need a restart.
"""

import asyncio
import contextlib
import shutil

import pytest
from tritonclient.grpc.aio import InferenceServerClient

from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.model_repository import Profile, served_models, write_repository
from streamproc.inference.release import point_to
from streamproc.inference.triton_connection import REJECTIONS
from streamproc.observability.metrics import REGISTRY
from streamproc.streams import releases
from tests.bundles import NEXT, bundle_name, next_bundle
from tests.servers.triton import TritonServer
from tests.streams.real_models import broker_for, eventually, notes, outcomes, running

pytestmark = [pytest.mark.usefixtures("triton_server"), pytest.mark.timeout(180)]

MODELS = ("encoder", "tagger", "calibrator")
NEW = ("tagger", "calibrator")
"""What the next bundle brings."""


@pytest.fixture
def repository(tmp_path):
    write_repository(Bundle.load(default_bundle_path()), tmp_path / "models", Profile.CPU)
    return tmp_path / "models"


@pytest.fixture
def server(repository):
    with TritonServer(repository) as own:
        yield own


@contextlib.contextmanager
def on_triton(server, tmp_path, **more):
    """Settings whose models are on that server; impatient, so that the faults of seconds are faults."""
    impatient = {"triton_timeout_seconds": 2, "attempt_seconds": 10, "max_attempts": 2, "batch_size": 8}
    with broker_for(tmp_path, inference="triton", triton_url=server.url, **impatient | more) as settings:
        yield settings


async def says(worker, words):
    """Wait until the worker says why it is not ready."""

    async def said():
        return any(words in reason for reason in worker.health.not_ready)

    await eventually(said)


async def some_outcomes(client):
    await client.wait_for(len, "notes.tagged", seconds=60)


@contextlib.asynccontextmanager
async def flowing(client):
    """Notes, one after the other, until the block is left; gives a function that counts them."""
    sent = 0

    async def flow():
        nonlocal sent
        for value, key in notes(100_000):
            await client.publish("notes.new", value, key)
            sent += 1
            await asyncio.sleep(0.05)

    task = asyncio.create_task(flow())
    try:
        yield lambda: sent
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_killed_and_started_again_in_mid_stream(server, tmp_path):
    with on_triton(server, tmp_path) as settings:
        async with running(settings) as (worker, client):
            async with flowing(client) as sent:
                await some_outcomes(client)
                server.kill()
                await says(worker, "Triton is down")
                assert worker.health.live, "an outage must not get the process killed"
                paused = worker._runtime.app.consumer._paused_partitions

                async def intake_waits():
                    return "notes.new" in {each.topic for each in paused}

                await eventually(intake_waits)
                before = sent()
                server.start()
                await worker.wait_ready(60)

                async def flows_again():
                    return sent() >= before + 10

                await eventually(flows_again)
            await outcomes(client, sent())
            assert worker.crash is None


async def test_a_server_that_stands_still_is_waited_for(server, tmp_path):
    with on_triton(server, tmp_path) as settings:
        async with running(settings) as (worker, client):
            await client.publish_many("notes.new", notes(20))
            await some_outcomes(client)
            server.pause()
            try:
                await client.publish_many("notes.new", notes(60))
                await says(worker, "Triton is down")
                assert worker.health.live
            finally:
                server.resume()
            await outcomes(client, 60)
            await worker.wait_ready(60)
            assert worker.crash is None


async def test_a_model_that_is_slower_than_its_deadline_is_waited_for(server, repository, tmp_path):
    model = repository / "tagger/1/model.py"
    fast = model.read_text()
    work = "        started = [self._start(request)"
    assert work in fast
    with on_triton(server, tmp_path, triton_timeout_seconds=1) as settings:
        async with running(settings) as (worker, client), InferenceServerClient(server.url) as control:
            await client.publish_many("notes.new", notes(20))
            await outcomes(client, 20)
            model.write_text(fast.replace(work, f"        __import__('time').sleep(2)\n{work}"))
            await control.load_model("tagger")
            await client.publish_many("notes.new", notes(60))
            await says(worker, "Triton is down")
            assert worker.health.live
            model.write_text(fast)
            await control.load_model("tagger")
            await outcomes(client, 60)
            await worker.wait_ready(60)
            assert worker.crash is None


async def test_full_queues_hold_up_and_lose_nothing(repository, tmp_path):
    config = repository / "encoder/config.pbtxt"
    config.write_text(config.read_text().replace("max_queue_size: 128", "max_queue_size: 1"))
    refused = REJECTIONS.labels("encoder")._value.get()
    with (
        TritonServer(repository) as server,
        on_triton(server, tmp_path, triton_concurrency=32, batch_size=32) as settings,
    ):
        async with running(settings) as (worker, client):
            sent = 0

            async def met():
                nonlocal sent
                sent += 60
                await client.publish_many("notes.new", notes(sent)[-60:])
                await outcomes(client, sent)
                return REJECTIONS.labels("encoder")._value.get() > refused

            await eventually(met)
            assert worker.crash is None


async def test_versions_that_hold_other_weights_are_not_asked_and_the_right_one_is_found_later(
    tmp_path, repository
):
    bundle = Bundle.load(default_bundle_path())
    for model in served_models(bundle):
        config = repository / model.name / "config.pbtxt"
        config.write_text(config.read_text().replace(f'"{model.identity}"', '"weights of another bundle"'))
    with TritonServer(repository) as server, on_triton(server, tmp_path) as settings:
        async with running(settings, ready=False) as (worker, client):
            await client.publish_many("notes.new", notes(20))
            await says(worker, "holds weights of another bundle")
            assert await client.read_all("notes.tagged", "notes.dead") == []
            write_repository(bundle, repository, Profile.CPU, version=2)
            async with InferenceServerClient(server.url) as control:
                for model in MODELS:
                    await control.load_model(model)
            await outcomes(client, 20)
            await worker.wait_ready(60)
            assert worker.crash is None


async def test_a_version_is_loaded_and_changed_over_to_under_load(server, repository, tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "LOOK_SECONDS", 0.2)
    following = next_bundle(tmp_path / "next")
    link = tmp_path / "current"
    point_to(link, default_bundle_path())
    with on_triton(server, tmp_path, bundle=link) as settings:
        async with running(settings) as (worker, client):
            async with flowing(client) as sent, InferenceServerClient(server.url) as control:
                await some_outcomes(client)
                # The decision first: until the server has the models, work goes on with those there are.
                point_to(link, following.path)

                async def waits():
                    return REGISTRY.get_sample_value("streamproc_release_waiting") == 1

                await eventually(waits)
                write_repository(following, repository, Profile.CPU, version=2, models=NEW)
                for model in NEW:
                    await control.load_model(model)

                async def changed_over():
                    records = await client.read_all("notes.tagged")
                    return bundle_name(NEXT).encode() in records[-1].value

                await eventually(changed_over)
                # The version that was used before goes away, and nobody misses it.
                for model in NEW:
                    shutil.rmtree(repository / model / "1")
                    await control.load_model(model)
                before = sent()

                async def flows_on():
                    return sent() >= before + 20

                await eventually(flows_on)
            found = await outcomes(client, sent())
            assert {each.models.bundle for each in found.values()} == {bundle_name(), bundle_name(NEXT)}
            assert worker.crash is None


async def test_a_shadow_whose_server_lacks_its_models_harms_nothing_and_begins_when_they_are_there(
    server, repository, tmp_path
):
    shadow = next_bundle(tmp_path / "next")

    def counted(result):
        return REGISTRY.get_sample_value("streamproc_shadow_notes_total", {"result": result}) or 0

    with on_triton(server, tmp_path, shadow_bundle=shadow.path, shadow_share=1, min_confidence=0) as settings:
        failed = counted("failed")
        async with running(settings) as (worker, client):
            await client.publish_many("notes.new", notes(20))
            await outcomes(client, 20)

            async def noticed():
                return counted("failed") > failed

            await eventually(noticed)
            assert worker.health.ready
            write_repository(shadow, repository, Profile.CPU, version=2, models=NEW)
            async with InferenceServerClient(server.url) as control:
                for model in NEW:
                    await control.load_model(model)
            await client.publish_many("notes.new", notes(40))
            await outcomes(client, 40)
            (record, *_) = await client.wait_for(len, "notes.shadow", seconds=60)
            assert bundle_name(NEXT).encode() in record.value
