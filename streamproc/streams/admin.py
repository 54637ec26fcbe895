"""The topics on a broker: created as the design wants them, and compared with what is there.

An existing topic is never altered: its partition count decides where keys go, and its retention may be somebody's
choice. What differs is reported, and a person decides.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from streamproc.config import Settings
from streamproc.errors import DependencyDownError, SettingsError
from streamproc.events.topics import TOPICS
from streamproc.streams.connection import client_options
from streamproc.streams.partitions import existing_partitions
from streamproc.streams.reachability import require_kafka

__all__ = [
    "Difference",
    "TopicInspection",
    "TopicReport",
    "WantedTopic",
    "create_topics",
    "inspect_topics",
    "partition_counts",
    "wanted_topics",
]

SPREAD_SECONDS = 10.0
"""How long the news of a created topic may take to reach every broker."""

_REFUSED = (ClusterAuthorizationFailedError, TopicAuthorizationFailedError, PolicyViolationError)


@dataclass(frozen=True)
class WantedTopic:
    """A topic as this deployment wants it; ``name`` has the prefix."""

    name: str
    partitions: int
    replication: int
    configuration: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """One property in which an existing topic is not what is wanted; ``found`` is None where nothing is set."""

    topic: str
    property: str
    wanted: str
    found: str | None


@dataclass(frozen=True)
class TopicReport:
    """What :func:`create_topics` did and found."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class TopicInspection:
    """What :func:`inspect_topics` found."""

    missing: tuple[str, ...]
    differences: tuple[Difference, ...]


def wanted_topics(settings: Settings) -> tuple[WantedTopic, ...]:
    """Give every topic of the design with this deployment's prefix, partitions, replication and limits."""
    return tuple(
        WantedTopic(
            name=f"{settings.topic_prefix}{topic.name}",
            partitions=1 if topic.single_partition else settings.topic_partitions,
            replication=settings.topic_replication,
            configuration={
                **topic.retention.config,
                "max.message.bytes": str(settings.max_output_bytes),
            },
        )
        for topic in TOPICS
    )


def partition_counts(settings: Settings) -> dict[str, int]:
    """Name every topic with its partition count, as :class:`~streamproc.streams.embedded.EmbeddedBroker` takes them."""
    return {topic.name: topic.partitions for topic in wanted_topics(settings)}


async def create_topics(settings: Settings) -> TopicReport:
    """Create the topics that do not exist; compare those that do. Repeating it changes nothing.

    Raises:
        SettingsError: the broker refuses these settings (login, rights, replication, a policy of its own).
        DependencyDownError: the broker cannot be reached.
    """
    await require_kafka(settings)
    wanted = wanted_topics(settings)
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        if cluster["controller_id"] not in {broker["node_id"] for broker in cluster["brokers"]}:
            # The client would look for it, and break.
            raise DependencyDownError(
                "Kafka",
                f"{settings.kafka_bootstrap}: no broker is the controller, which makes topics. Try again",
            )
        created = await _create(admin, wanted)
        existing = [topic for topic in wanted if topic.name not in created]
        differences = await _compare(admin, existing) if existing else []
    except KafkaError as error:
        raise DependencyDownError("Kafka", f"{settings.kafka_bootstrap}: {error}") from error
    finally:
        await admin.close()
    return TopicReport(created, tuple(topic.name for topic in existing), tuple(differences))


async def inspect_topics(settings: Settings) -> TopicInspection:
    """Compare the topics that exist with those that are wanted, and create none.

    Raises:
        SettingsError: Kafka does not answer to these settings.
        DependencyDownError: the broker cannot be reached.
    """
    existing = await existing_partitions(settings)
    present = [topic for topic in wanted_topics(settings) if topic.name in existing]
    missing = tuple(topic.name for topic in wanted_topics(settings) if topic.name not in existing)
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        differences = await _compare(admin, present) if present else []
    except IncompatibleBrokerVersion:
        # The embedded broker describes no configurations; it was made with the partitions that are wanted.
        differences = []
    except KafkaError as error:
        raise DependencyDownError("Kafka", f"{settings.kafka_bootstrap}: {error}") from error
    finally:
        await admin.close()
    return TopicInspection(missing, tuple(differences))


async def _create(admin: AIOKafkaAdminClient, wanted: Sequence[WantedTopic]) -> tuple[str, ...]:
    response = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, topic.replication, topic_configs=dict(topic.configuration))
            for topic in wanted
        ]
    )
    created = []
    for name, code, message, *_ in response.topic_errors:
        error = for_code(code)
        if error is NoError:
            created.append(name)
        elif issubclass(error, _REFUSED):
            raise SettingsError(
                f"Kafka does not let this user create the topic {name}: {message or error.__name__}."
            )
        elif error is not TopicAlreadyExistsError:
            raise SettingsError(
                f"Kafka cannot create the topic {name}: {message or error.__name__} Correct "
                "STREAMPROC_TOPIC_PREFIX, STREAMPROC_TOPIC_PARTITIONS or STREAMPROC_TOPIC_REPLICATION."
            )
    return tuple(created)


async def _compare(admin: AIOKafkaAdminClient, topics: Sequence[WantedTopic]) -> list[Difference]:
    deadline = time.monotonic() + SPREAD_SECONDS
    while True:
        try:
            return await _differences(admin, topics)
        except UnknownTopicOrPartitionError:
            # The controller knows a topic that somebody has just created before the brokers do.
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def _differences(admin: AIOKafkaAdminClient, topics: Sequence[WantedTopic]) -> list[Difference]:
    described = {
        topic["topic"]: topic for topic in await admin.describe_topics([topic.name for topic in topics])
    }
    for named in described.values():
        if for_code(named["error_code"]) is not NoError:
            raise for_code(named["error_code"])(named["topic"])
    configurations = await _configurations(admin, topics)
    differences = []
    for topic in topics:
        partitions = described[topic.name]["partitions"]
        replication = min((len(partition["replicas"]) for partition in partitions), default=0)
        found = {
            "partitions": str(len(partitions)),
            "replication": str(replication),
            **configurations[topic.name],
        }
        wanted = {
            "partitions": str(topic.partitions),
            "replication": str(topic.replication),
            **topic.configuration,
        }
        differences += [
            Difference(topic.name, name, value, found.get(name))
            for name, value in wanted.items()
            if found.get(name) != value
        ]
    return differences


async def _configurations(
    admin: AIOKafkaAdminClient, topics: Sequence[WantedTopic]
) -> dict[str, dict[str, str]]:
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, topic.name, dict.fromkeys(topic.configuration, ""))
        for topic in topics
    ]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            error = for_code(code)
            if error is not NoError:
                raise error(f"configuration of the topic {name}: {message or error.description}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
