"""Kafka as a dependency that can be down."""

from streamproc.config import Settings
from streamproc.errors import DependencyDownError, UserError
from streamproc.streams.reachability import require_kafka

__all__ = ["KafkaDependency"]


class KafkaDependency:
    """Probes Kafka over a connection of its own."""

    name = "Kafka"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def check(self) -> None:
        """Return if a broker answers.

        Raises:
            DependencyDownError: none does; also when it answers but refuses, since that may be put right there.
        """
        try:
            await require_kafka(self._settings)
        except UserError as error:
            raise DependencyDownError(self.name, str(error)) from error
