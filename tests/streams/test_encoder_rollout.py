"""Another encoder, rolled out while workers go on: embed, catch up, change over, clean up."""

import asyncio

import pytest
from typer.testing import CliRunner

from streamproc.cli.graph import app
from streamproc.errors import SettingsError
from streamproc.inference.bundle import default_bundle_path
from tests.bundles import SHIPPED, bundle_with_another_encoder
from tests.streams.real_models import broker_for, eventually, notes, outcomes, running

OLD = SHIPPED.encoder.float_sha256[:16]
NEW = "ab" * 8


@pytest.fixture
def graph_command(monkeypatch):
    """Run ``streamproc graph …`` with the settings, as an operator would beside the workers."""

    async def command(settings, *arguments):
        with monkeypatch.context() as environment:
            for name in ("kafka_bootstrap", "topic_prefix", "milvus_uri", "consumer_group", "bundle"):
                if getattr(settings, name) is not None:
                    environment.setenv(f"STREAMPROC_{name.upper()}", str(getattr(settings, name)))
            result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return command


async def in_the_log(client, count):
    """Wait until so many notes are on ``graph.notes``."""

    async def there():
        return len({each.key for each in await client.read_all(client.names.graph_notes)}) == count

    await eventually(there)


@pytest.mark.timeout(180)
async def test_the_graph_is_embedded_anew_while_workers_go_on_and_then_changed_over_to(
    tmp_path, milvus_server, graph_command
):
    other = bundle_with_another_encoder(tmp_path / "other")
    prefix = f"{tmp_path.name}."
    with broker_for(tmp_path, prefix=prefix, milvus_uri=milvus_server.uri) as settings:
        async with running(settings) as (worker, client):
            await client.publish_many(f"{prefix}notes.new", notes(20))
            await outcomes(client, 20)
            await in_the_log(client, 20)
            first = await graph_command(settings, "reembed", "--bundle", str(other.path))
            assert f"the graph of encoder {NEW} holds" in first.stdout
            assert f"streamproc graph drop --encoder {OLD}" in first.stdout
            # The old graph is served all the while.
            await client.publish_many(f"{prefix}notes.new", notes(40)[20:])
            await outcomes(client, 40)
            assert worker.health.ready
            await in_the_log(client, 40)

        changed = settings.model_copy(update={"bundle": other.path})
        last = await graph_command(settings, "reembed", "--bundle", str(other.path))
        assert "holds 40 notes" in last.stdout
        assert " 20 notes" in last.stderr, "the second run reads what was published after the first"
        assert (await graph_command(settings, "list")).stdout.splitlines() == [
            f"{OLD}\t40\tused",
            f"{NEW}\t40\t-",
        ]
        async with running(changed) as (worker, client):
            await client.publish_many(f"{prefix}notes.new", notes(50)[40:])
            found = await outcomes(client, 50)
            assert {found[f"n{number}"].models.encoder for number in range(40, 50)} == {NEW}
            assert worker.health.ready
        with pytest.raises(SettingsError, match="is the encoder of the bundle in use"):
            await graph_command(changed, "drop", "--encoder", NEW)
        dropped = await graph_command(changed, "drop", "--encoder", OLD)
        assert dropped.stdout == f"dropped the graph of encoder {OLD}\n"
        assert [
            line.split("\t")[0] for line in (await graph_command(changed, "list")).stdout.splitlines()
        ] == [NEW]


async def test_a_worker_whose_new_graph_lacks_records_waits_and_says_so(
    tmp_path, milvus_server, graph_command
):
    other = bundle_with_another_encoder(tmp_path / "other")
    prefix = f"{tmp_path.name}."
    with broker_for(tmp_path, prefix=prefix, milvus_uri=milvus_server.uri) as settings:
        async with running(settings) as (_, client):
            await client.publish_many(f"{prefix}notes.new", notes(10))
            await outcomes(client, 10)
            await graph_command(settings, "reembed", "--bundle", str(other.path))
            await client.publish_many(f"{prefix}notes.new", notes(20))
            await outcomes(client, 20)
            await in_the_log(client, 20)
        changed = settings.model_copy(update={"bundle": other.path})
        async with running(changed, ready=False) as (worker, _):

            async def behind():
                return any("is committed" in reason for reason in worker.health.not_ready)

            await eventually(behind)
            await graph_command(settings, "reembed", "--bundle", str(other.path))
            await worker.wait_ready(60)


async def test_the_encoder_in_use_is_not_embedded_beside_itself(tmp_path, graph_command):
    with (
        broker_for(tmp_path) as settings,
        pytest.raises(SettingsError, match=r"has the encoder of the bundle in use .*graph rebuild"),
    ):
        await graph_command(settings, "reembed", "--bundle", str(default_bundle_path()))
