"""What Kafka knows of the workers' consumer group: who is in it, and how far it has come."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    IncompatibleBrokerVersion,
    KafkaError,
    NoError,
    NotCoordinatorForGroupError,
    for_code,
)

from streamproc.config import Settings
from streamproc.errors import DependencyDownError
from streamproc.streams.connection import client_options
from streamproc.streams.partitions import partitions_of

__all__ = ["GroupState", "group_state"]

COORDINATOR_SECONDS = 15.0
"""How long the coordinator of a group may take to be chosen."""


@dataclass(frozen=True)
class GroupState:
    """A consumer group.

    Attributes:
        members: consumers in it now; None where the broker cannot tell (the embedded one).
        committed: the next offset to be read, by topic and partition; partitions without a commit are left out.
    """

    members: int | None
    committed: dict[tuple[str, int], int]


async def group_state(settings: Settings, topics: Sequence[str]) -> GroupState:
    """Ask for the group of these settings and its commits on these topics.

    Raises:
        SettingsError: Kafka does not answer to these settings, or a topic does not exist.
        DependencyDownError: Kafka cannot be reached.
    """
    partitions = [
        TopicPartition(topic, number)
        for topic, numbers in (await partitions_of(settings, topics)).items()
        for number in numbers
    ]
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        return await _asked(admin, settings.consumer_group, partitions)
    except KafkaError as error:
        raise DependencyDownError("Kafka", f"{settings.kafka_bootstrap}: {error!r}") from error
    finally:
        await admin.close()


async def _asked(admin: AIOKafkaAdminClient, group: str, partitions: list[TopicPartition]) -> GroupState:
    deadline = time.monotonic() + COORDINATOR_SECONDS
    while True:
        try:
            coordinator = await admin.find_coordinator(group)
            members = await _members(admin, group, coordinator)
            stored = await admin.list_consumer_group_offsets(group, coordinator, partitions)
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
            # The first question about any group makes a new cluster create its offsets topic.
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            # -1 stands for a partition without a commit.
            committed = {
                (one.topic, one.partition): at.offset for one, at in stored.items() if at.offset >= 0
            }
            return GroupState(members, committed)


async def _members(admin: AIOKafkaAdminClient, group: str, coordinator: int) -> int | None:
    try:
        responses = await admin.describe_consumer_groups([group], coordinator)
    except IncompatibleBrokerVersion:
        return None
    (described,) = responses[0].to_object()["groups"]
    if (error := for_code(described["error_code"])) is not NoError:
        raise error(group)
    return len(described["members"])
