"""A second bundle judges some notes beside the live one, and nothing depends on it."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from streamproc.config import load_settings
from streamproc.events.codec import encode
from streamproc.inference.onnx import load_models
from streamproc.observability.metrics import REGISTRY
from streamproc.pipeline.policy import Policy
from streamproc.pipeline.shadow import MOVED, Shadow, ShadowModels, is_shadowed
from streamproc.pipeline.tagging import Pipeline, model_versions
from tests.bundles import NEXT, bundle_name, next_bundle
from tests.pipeline.test_tagging import sample_notes, sourced


def counted(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def trial(tmp_path):
    """The next bundle's models: they give other confidences."""
    bundle = next_bundle(tmp_path / "next")
    models = load_models(bundle, threads=1)
    yield ShadowModels(models.tagger, models.calibrator, model_versions(bundle.manifest, models))
    await models.close()


@pytest.fixture
def next_pipeline(trial, models, sample_graph, tmp_path):
    """The next bundle as the one in use."""
    return Pipeline.of(
        load_settings(),
        next_bundle(tmp_path / "in use"),
        replace(models, tagger=trial.tagger, calibrator=trial.calibrator),
        sample_graph.store,
        sample_graph.knowledge,
    )


@pytest.fixture
def published():
    return []


@pytest.fixture
def shadowed(bundle, models, sample_graph):
    """A pipeline that shows a shadow what it judged."""

    def shadowed(shadow):
        return Pipeline.of(
            load_settings(), bundle, models, sample_graph.store, sample_graph.knowledge, observer=shadow
        )

    return shadowed


def shadow_of(models, published, share=1.0):
    async def publish(findings):
        published.extend(findings)

    return Shadow(models, Policy.of(load_settings()), share, publish)


@contextlib.asynccontextmanager
async def running(shadow):
    task = asyncio.create_task(shadow.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def readable_notes():
    """Sample notes in a language that the models read."""
    return sourced([note for note in sample_notes() if note.language in {"", "en"}])


async def until(holds, seconds=20):
    deadline = asyncio.get_running_loop().time() + seconds
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "it did not come about"
        await asyncio.sleep(0.01)


def bytes_of(outcomes):
    return [(encode(each.tagged), each.graph_note and encode(each.graph_note)) for each in outcomes]


def judged_notes():
    return sum(
        counted("streamproc_shadow_notes_total", result=each) for each in ("same", "different", "failed")
    )


async def test_differences_are_those_between_what_both_would_emit(
    pipeline, next_pipeline, shadowed, trial, published
):
    notes = readable_notes()
    before = judged_notes()
    seconds_before = counted("streamproc_shadow_note_seconds_count", models="shadow")
    shadow = shadow_of(trial, published)
    async with running(shadow):
        live = await shadowed(shadow).tag(notes)
        await until(lambda: judged_notes() - before == len(notes))
    assert bytes_of(live) == bytes_of(await pipeline.tag(notes))

    expected = {}
    for ours, theirs in zip(live, await next_pipeline.tag(notes), strict=True):
        one, two = ({tag.tag_id: tag.confidence for tag in each.tagged.tags} for each in (ours, theirs))
        changed = {
            tag_id
            for tag_id in one.keys() | two.keys()
            if tag_id not in one or tag_id not in two or abs(one[tag_id] - two[tag_id]) >= MOVED
        }
        if changed:
            expected[ours.source.position] = (one, two, changed)
    assert {source.position for source, _ in published} == expected.keys()
    assert expected
    for source, found in published:
        one, two, changed = expected[source.position]
        assert {each.tag_id for each in found.differences} == changed
        for each in found.differences:
            assert (each.live_emitted, each.shadow_emitted) == (each.tag_id in one, each.tag_id in two)
            assert each.live_confidence == one.get(each.tag_id, each.live_confidence)
            assert each.shadow_confidence == two.get(each.tag_id, each.shadow_confidence)
        assert (found.live.bundle, found.shadow.bundle) == (bundle_name(), bundle_name(NEXT))
        assert found.live_seconds > 0
        assert found.shadow_seconds > 0
    assert counted("streamproc_shadow_note_seconds_count", models="shadow") - seconds_before == len(notes)


async def test_the_same_models_differ_in_nothing(shadowed, models, published, bundle):
    same = ShadowModels(models.tagger, models.calibrator, model_versions(bundle.manifest, models))
    before = counted("streamproc_shadow_notes_total", result="same")
    notes = readable_notes()
    shadow = shadow_of(same, published)
    async with running(shadow):
        await shadowed(shadow).tag(notes)
        await until(lambda: counted("streamproc_shadow_notes_total", result="same") - before == len(notes))
    assert published == []


async def test_a_shadow_that_fails_is_counted_and_harms_nothing(pipeline, shadowed, trial, published):
    class Broken:
        version = "broken"

        async def score(self, requests):
            raise ValueError("no models today")

    before = counted("streamproc_shadow_notes_total", result="failed")
    notes = readable_notes()
    shadow = shadow_of(ShadowModels(Broken(), trial.calibrator, trial.versions), published)
    async with running(shadow):
        first = await shadowed(shadow).tag(notes)
        second = await shadowed(shadow).tag(notes)
        await until(
            lambda: counted("streamproc_shadow_notes_total", result="failed") - before == 2 * len(notes)
        )
    assert bytes_of(first) == bytes_of(second) == bytes_of(await pipeline.tag(notes))
    assert published == []


async def test_a_shadow_that_stands_still_drops_what_it_cannot_hold_and_delays_nothing(
    pipeline, shadowed, trial, published
):
    class Stuck:
        version = "stuck"

        async def score(self, requests):
            await asyncio.Event().wait()

    before = counted("streamproc_shadow_notes_total", result="dropped")
    notes = readable_notes()
    shadow = shadow_of(ShadowModels(Stuck(), trial.calibrator, trial.versions), published)
    live = shadowed(shadow)
    async with running(shadow):
        async with asyncio.timeout(60):
            while counted("streamproc_shadow_notes_total", result="dropped") == before:
                outcomes = await live.tag(notes)
    assert bytes_of(outcomes) == bytes_of(await pipeline.tag(notes))


async def test_only_notes_of_the_share_are_judged_twice(shadowed, trial, published):
    seen = []

    class Counting:
        version = trial.versions.tagger

        async def score(self, requests):
            seen.extend(requests)
            return await trial.tagger.score(requests)

    notes = readable_notes()
    share = 0.5
    wanted = sum(is_shadowed(each.note.note_id, share) for each in notes)
    assert 0 < wanted < len(notes)
    before = judged_notes()
    shadow = shadow_of(ShadowModels(Counting(), trial.calibrator, trial.versions), published, share)
    async with running(shadow):
        await shadowed(shadow).tag(notes)
        await until(lambda: judged_notes() - before == wanted)
    assert len(seen) == wanted


def test_the_share_is_that_of_the_ids_and_grows_by_adding_notes():
    ids = [f"note-{number}" for number in range(4000)]
    some, more = ({each for each in ids if is_shadowed(each, share)} for share in (0.1, 0.4))
    assert len(some) == pytest.approx(400, abs=80)
    assert some < more
    assert not any(is_shadowed(each, 0.0) for each in ids)
    assert all(is_shadowed(each, 1.0) for each in ids)
