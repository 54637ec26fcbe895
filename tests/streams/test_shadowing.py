"""Shadow mode in a worker: what it finds goes to a topic, and its outputs are the same without it."""

import pytest

from streamproc.errors import BundleError, SettingsError
from streamproc.events.codec import decode_shadow
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.observability.metrics import REGISTRY
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.shadowing import open_shadow
from tests.bundles import NEXT, bundle_name, bundle_with_another_encoder, next_bundle
from tests.streams.fixed import header, settings_for, source_of, topic_counts
from tests.streams.real_models import broker_for, eventually, notes, outcomes, running

NOTES = 40


async def tagged_values(settings):
    async with running(settings) as (_, client):
        await client.publish_many("notes.new", notes(NOTES))
        await outcomes(client, NOTES)
        return {each.key: each.value for each in await client.read_all("notes.tagged")}


@pytest.fixture
async def without(tmp_path):
    (tmp_path / "without").mkdir()
    with broker_for(tmp_path / "without", write_back="off", min_confidence=0) as settings:
        return await tagged_values(settings)


async def test_outputs_are_byte_for_byte_those_without_it_and_differences_are_published(tmp_path, without):
    shadow = next_bundle(tmp_path / "next")
    with broker_for(
        tmp_path, write_back="off", min_confidence=0, shadow_bundle=shadow.path, shadow_share=1
    ) as settings:
        async with running(settings) as (_, client):
            positions = await client.publish_many("notes.new", notes(NOTES))
            await outcomes(client, NOTES)
            found = await client.wait_for(len, "notes.shadow", seconds=60)
            values = {each.key: each.value for each in await client.read_all("notes.tagged")}
    assert values == without
    record = found[0]
    event = decode_shadow(record.value)
    assert (event.live.bundle, event.shadow.bundle) == (bundle_name(), bundle_name(NEXT))
    assert event.differences
    assert record.key.decode() == event.note_id
    assert source_of(record) in positions
    assert header(record, "ce_type") == "streamproc.notes.shadow.v1"


async def test_where_its_topic_is_missing_nothing_else_suffers(tmp_path, without):
    shadow = next_bundle(tmp_path / "next")

    def failed():
        return REGISTRY.get_sample_value("streamproc_shadow_notes_total", {"result": "failed"}) or 0

    before = failed()
    with EmbeddedBroker() as broker:
        settings = settings_for(
            broker.bootstrap,
            tmp_path,
            write_back="off",
            min_confidence=0,
            shadow_bundle=shadow.path,
            shadow_share=1,
        )
        for name, partitions in topic_counts(settings).items():
            if name != "notes.shadow":
                broker.create_topic(name, partitions)
        assert await tagged_values(settings) == without

        async def noticed():
            return failed() > before

        await eventually(noticed)


async def test_a_bundle_that_cannot_be_compared_is_refused_at_the_start(tmp_path):
    live = Bundle.load(default_bundle_path())
    other = bundle_with_another_encoder(tmp_path / "other")
    settings = settings_for("127.0.0.1:1", tmp_path, shadow_bundle=other.path)
    with pytest.raises(SettingsError, match=r"STREAMPROC_SHADOW_BUNDLE = .* has another encoder"):
        await open_shadow(settings, live)
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read"):
        await open_shadow(settings.model_copy(update={"shadow_bundle": tmp_path / "none"}), live)


async def test_without_a_bundle_or_a_share_there_is_none(tmp_path):
    live = Bundle.load(default_bundle_path())
    assert await open_shadow(settings_for("127.0.0.1:1", tmp_path), live) is None
    shadow = next_bundle(tmp_path / "next")
    settings = settings_for("127.0.0.1:1", tmp_path, shadow_bundle=shadow.path, shadow_share=0)
    assert await open_shadow(settings, live) is None
