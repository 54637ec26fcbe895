"""Which partitions a topic has, asked without creating it."""

from collections.abc import Sequence

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from streamproc.config import Settings
from streamproc.errors import DependencyDownError, SettingsError
from streamproc.streams.connection import client_options
from streamproc.streams.reachability import require_kafka

__all__ = ["existing_partitions", "partitions_of"]


async def partitions_of(settings: Settings, topics: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Give the partitions of each topic.

    Raises:
        SettingsError: Kafka does not answer to these settings, or a topic does not exist.
        DependencyDownError: Kafka cannot be reached.
    """
    existing = await existing_partitions(settings)
    missing = [topic for topic in topics if topic not in existing]
    if missing:
        raise SettingsError(
            f"Kafka at {settings.kafka_bootstrap} has no topic {', '.join(missing)}. Create it with "
            "'streamproc topics create', or correct STREAMPROC_TOPIC_PREFIX."
        )
    return {topic: existing[topic] for topic in topics}


async def existing_partitions(settings: Settings) -> dict[str, tuple[int, ...]]:
    """Give the partitions of every topic that this user may see.

    Raises:
        SettingsError: Kafka does not answer to these settings.
        DependencyDownError: Kafka cannot be reached.
    """
    await require_kafka(settings)
    client = AIOKafkaClient(**client_options(settings))
    try:
        await client.bootstrap()
        # Metadata of all topics: asking for one by name would make a broker with auto-creation create it.
        metadata = await client.fetch_all_metadata()
    except KafkaError as error:
        raise DependencyDownError("Kafka", f"{settings.kafka_bootstrap}: {error}") from error
    finally:
        await client.close()
    return {topic: tuple(sorted(metadata.partitions_for_topic(topic) or ())) for topic in metadata.topics()}
