"""Logs go to stderr: lines for people on a terminal, JSON otherwise."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

__all__ = ["configure_logging"]

SELDOM_SECONDS = 60.0

QUIET = (
    *("aiokafka", "faust", "mode", "asyncio", "aiohttp", "pymilvus", "milvus_lite"),
    # Faust's parts log under the modules of their subclasses.
    *(f"streamproc.streams.{module}" for module in ("app", "fast_intake")),
)
"""Libraries that log every fetch and every start of a part: at DEBUG, 14 % of the CPU in a pass-through."""


def configure_logging(level: str) -> None:
    """Send this package's and the libraries' logs to stderr in one format.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``; libraries are heard from ``warning`` up.
    """
    on_terminal = sys.stderr.isatty()
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    final: list[structlog.types.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if on_terminal:
        final.append(structlog.dev.ConsoleRenderer())
    else:
        final += [structlog.processors.format_exc_info, _event_first, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Seldom("aiokafka"))
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=final))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("streamproc").setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


class _Seldom(logging.Filter):
    """Lets a library say the same thing once a minute: while Kafka is away aiokafka tells of every attempt."""

    def __init__(self, library: str) -> None:
        super().__init__()
        self._library = library
        self._last: dict[tuple[str, int, object], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != self._library:
            return True
        # The message before its values are put in: these differ from attempt to attempt.
        what = (record.name, record.levelno, record.msg)
        said, silent = self._last.get(what, (-SELDOM_SECONDS, 0))
        if record.created - said < SELDOM_SECONDS:
            self._last[what] = (said, silent + 1)
            return False
        self._last[what] = (record.created, 0)
        if silent:
            record.msg = f"{record.msg} (and {silent} times more since it was said last)"
        return True


def _event_first(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:  # a person reading the JSON wants the sentence before its details
    return {"event": event.pop("event"), **event}
