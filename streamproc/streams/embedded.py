"""A broker inside the process, for ``streamproc demo`` and for tests.

It is the mock cluster that librdkafka carries for its own tests: a real Kafka protocol on a loopback port, with
commits, headers and idempotent producers. Records live in memory, and a partition forgets its oldest ones past
:data:`KEPT_BYTES`: never for data that matter. A consumer group holds one member: a second one that joins it while the
first is there fails with InvalidRequestError, and one that joins after the first left waits for a session time-out.
So one worker, whatever the number of its agents.

confluent-kafka's Python API starts that cluster but cannot create a topic in it (``CreateTopics`` is not answered,
and a topic made by its first use has four partitions). Its C interface (``rdkafka_mock.h``) can, and the extension
module exports it, so this file calls it through ctypes.
"""

import ctypes
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import cimpl

__all__ = ["KEPT_BYTES", "EmbeddedBroker"]

KEPT_BYTES = 5 * 1024 * 1024
"""What one partition keeps; fixed inside librdkafka."""

_TOPIC_NAME = re.compile(r"^[A-Za-z0-9._-]{1,249}$")
_RD_KAFKA_PRODUCER = 0
_ERROR_BYTES = 512

_Pointer = ctypes.c_void_p
_SIGNATURES: Mapping[str, tuple[type | None, tuple[type, ...]]] = {
    "rd_kafka_conf_new": (_Pointer, ()),
    "rd_kafka_conf_set_log_cb": (None, (_Pointer, _Pointer)),
    "rd_kafka_new": (_Pointer, (ctypes.c_int, _Pointer, ctypes.c_char_p, ctypes.c_size_t)),
    "rd_kafka_destroy": (None, (_Pointer,)),
    "rd_kafka_err2str": (ctypes.c_char_p, (ctypes.c_int,)),
    "rd_kafka_mock_cluster_new": (_Pointer, (_Pointer, ctypes.c_int)),
    "rd_kafka_mock_cluster_destroy": (None, (_Pointer,)),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, (_Pointer,)),
    "rd_kafka_mock_topic_create": (ctypes.c_int, (_Pointer, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (_Pointer, ctypes.c_int32)),
}


def _librdkafka() -> ctypes.CDLL:
    # The extension module is linked to the bundled librdkafka: symbols are found through it on every platform.
    library = ctypes.CDLL(cimpl.__file__)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, list(arguments)
    return library


class EmbeddedBroker:
    """One in-memory broker; use it as a context manager.

    Args:
        topics: names and partition counts of the topics to begin with.
    """

    def __init__(self, topics: Mapping[str, int] | None = None) -> None:
        self._library = _librdkafka()
        configuration = self._library.rd_kafka_conf_new()
        # Without a log callback librdkafka is silent; the client that hosts the cluster would warn of its idleness.
        self._library.rd_kafka_conf_set_log_cb(configuration, None)
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        self._client = self._library.rd_kafka_new(_RD_KAFKA_PRODUCER, configuration, error, _ERROR_BYTES)
        if not self._client:
            raise RuntimeError(f"librdkafka did not start: {error.value.decode(errors='replace')}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            self._library.rd_kafka_destroy(self._client)
            raise RuntimeError("librdkafka could not start its in-memory cluster: no loopback port is free")
        # The group waits three seconds for further members otherwise: the demo's first impression.
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.bootstrap: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        """``host:port`` of the broker."""
        for name, partitions in (topics or {}).items():
            self.create_topic(name, partitions)

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic.

        Raises:
            ValueError: the topic exists, or its name or partition count is not one that Kafka allows.
        """
        if not _TOPIC_NAME.match(name) or partitions < 1:
            raise ValueError(f"topic {name!r} with {partitions} partitions is not one that Kafka allows")
        code = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if code != 0:
            reason = self._library.rd_kafka_err2str(code).decode()
            raise ValueError(f"topic {name!r} with {partitions} partitions cannot be created: {reason}")

    def close(self) -> None:
        """Stop the broker and forget its records. Calling it twice is fine."""
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            self._library.rd_kafka_mock_cluster_destroy(cluster)
            self._library.rd_kafka_destroy(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
