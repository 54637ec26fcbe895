"""What ``doctor`` looks at, one after the other. Each check says what it found, or raises what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from streamproc.config import Inference, Settings
from streamproc.errors import GraphMismatchError, SettingsError, StreamprocError
from streamproc.events.topics import TopicNames
from streamproc.graph.inspection import GraphInspection, GraphState, inspect_graph
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.view import view_state
from streamproc.inference.backend import load_bundle, open_models
from streamproc.streams.admin import inspect_topics
from streamproc.streams.group import group_state
from streamproc.streams.reachability import require_kafka

__all__ = ["Finding", "Verdict", "examine"]

CHECK_SECONDS = 60.0
"""Every dependency has shorter time-outs of its own; this is for one that keeps none."""


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WRONG = "wrong"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class _Check:
    name: str
    look: Callable[[Settings], Awaitable[str]]
    needs: tuple[str, ...] = ()


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Run every check; one whose needs are not met is skipped."""
    failed: set[str] = set()
    for check in _checks(settings):
        missing = [name for name in check.needs if name in failed]
        if missing:
            finding = Finding(
                check.name, Verdict.SKIPPED, f"cannot be told while this is not ok: {', '.join(missing)}"
            )
        else:
            finding = await _looked(check, settings)
        if finding.verdict is not Verdict.OK:
            failed.add(check.name)
        yield finding


def _checks(settings: Settings) -> tuple[_Check, ...]:
    triton = settings.inference is Inference.TRITON
    return (
        _Check("bundle", _bundle),
        _Check("triton", _triton, needs=("bundle",))
        if triton
        else _Check("models", _models, needs=("bundle",)),
        _Check("kafka", _kafka),
        _Check("topics", _topics, needs=("kafka",)),
        _Check("milvus", _milvus, needs=("bundle",)),
        _Check("graph", _graph, needs=("bundle", "milvus", "kafka", "topics")),
    )


async def _looked(check: _Check, settings: Settings) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return Finding(check.name, Verdict.OK, await check.look(settings))
    except StreamprocError as error:
        return Finding(check.name, Verdict.WRONG, str(error))
    except TimeoutError:
        return Finding(check.name, Verdict.WRONG, f"no answer within {CHECK_SECONDS:.0f} s")
    except Exception as error:  # noqa: BLE001 - whatever is broken here, the other checks are worth having
        return Finding(check.name, Verdict.WRONG, f"{type(error).__name__}: {error}")


async def _bundle(settings: Settings) -> str:
    bundle = load_bundle(settings)
    manifest = bundle.manifest
    return f"{manifest.name} {manifest.version} in {bundle.path}, files unaltered"


async def _models(settings: Settings) -> str:
    models = open_models(settings, load_bundle(settings))
    await models.close()
    return "encoder, tagger and calibrator run in this process"


async def _triton(settings: Settings) -> str:
    from streamproc.inference.triton import connect  # noqa: PLC0415 - its client is there for Triton only

    connection = connect(settings, load_bundle(settings))
    try:
        await connection.check()
    finally:
        await connection.close()
    return f"{settings.triton_url} serves the bundle's models"


async def _kafka(settings: Settings) -> str:
    await require_kafka(settings)
    return f"{settings.kafka_bootstrap} answers"


async def _topics(settings: Settings) -> str:
    found = await inspect_topics(settings)
    if found.missing:
        raise SettingsError(
            f"missing: {', '.join(found.missing)}. Create them with 'streamproc topics create'."
        )
    if found.differences:
        wrong = "; ".join(
            f"{one.topic} has {one.property} {one.found or 'not set'} instead of {one.wanted}"
            for one in found.differences
        )
        raise SettingsError(
            f"{wrong}. Alter them with kafka-configs.sh and kafka-topics.sh, or correct STREAMPROC_TOPIC_PARTITIONS, "
            "STREAMPROC_TOPIC_REPLICATION or STREAMPROC_MAX_NOTE_BYTES."
        )
    return "all topics are there and as they should be"


async def _milvus(settings: Settings) -> str:
    found = await _inspected(settings)
    match found.state:
        case GraphState.ABSENT:
            return f"{settings.milvus_uri} holds no graph yet; the first worker makes it"
        case GraphState.IN_USE:
            return f"{settings.milvus_uri} is open in another process, which a worker that is running is"
        case GraphState.PRESENT:
            counts = found.counts
            return (
                f"{settings.milvus_uri} holds {counts.notes} notes, {counts.tags} tags and {counts.segments} "
                "passages, by this encoder"
            )


async def _graph(settings: Settings) -> str:
    found = await _inspected(settings)
    if found.state is GraphState.IN_USE:
        return "looked after by the process that has it open; see its /health/ready"
    names = TopicNames(settings.topic_prefix)
    group = await group_state(settings, [names.graph_notes, names.tags_changes, names.knowledge_changes])
    view = view_state(found.applied, group.committed)
    if not view.current:
        raise GraphMismatchError(view.message)
    return "holds all that the workers have committed"


async def _inspected(settings: Settings) -> GraphInspection:
    encoder = load_bundle(settings).manifest.encoder
    return await inspect_graph(GraphAddress.of(settings), encoder.float_sha256, encoder.dimension)
