"""The worker as a process, and the same worker inside an event loop that somebody else runs."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import faust
import structlog

from streamproc.config import Settings
from streamproc.errors import SettingsError, TransientError
from streamproc.observability.clock import Clock
from streamproc.observability.health import Health
from streamproc.pipeline.garbage import calm_collector
from streamproc.streams.opening import open_parts
from streamproc.streams.parts import Parts
from streamproc.streams.reachability import require_kafka
from streamproc.streams.runtime import Runtime

__all__ = ["EmbeddedWorker", "run_worker"]

log = structlog.get_logger(__name__)

READY_POLL_SECONDS = 0.05

START_SECONDS = 60.0
"""How long the start waits for Kafka, Milvus and Triton before it gives up."""

START_RETRY_SECONDS = 2.0

T = TypeVar("T")


class _Worker(faust.Worker):  # type: ignore[misc]
    """Faust's worker without its own ideas of logging, banners and process titles."""

    def _setup_logging(self) -> None:
        """Logging is configured already."""

    def _on_sigint(self) -> None:
        """As for SIGTERM; Faust's own also writes to the terminal."""
        self._flag_as_shutdown_by_signal()
        self._schedule_shutdown(signal.SIGINT)

    def _setproctitle(self, info: str, *, ident: str = "") -> None:
        """The process keeps the name under which people started it."""


def run_worker(settings: Settings, opening: Callable[[Settings], Awaitable[Parts]] = open_parts) -> int:
    """Run until a signal or a crash; return the exit status.

    SIGTERM and SIGINT end it within ``drain_seconds``, offsets committed, with status 0; a crash with 1.

    Args:
        settings: what the operator set.
        opening: gives the parts; tests and benchmarks put in models of their own.

    Raises:
        UserError: a person must act before a worker can run.
        DependencyDownError: Kafka or Milvus could not be reached for a minute.
    """
    _require_web_port(settings)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # What a person must put right comes first: it should not wait for a broker to be told.
    parts = loop.run_until_complete(_patiently(lambda: opening(settings)))
    try:
        loop.run_until_complete(_patiently(lambda: require_kafka(settings)))
        runtime = Runtime(settings, parts, loop=loop, web=settings.web_port != 0)
    except BaseException:
        loop.run_until_complete(parts.close())
        raise
    calm_collector()
    worker = _Worker(runtime.app, loop=loop, stdout=sys.stderr, stderr=sys.stderr, redirect_stdouts=False)
    worker.spinner = None
    log.info("worker starts", group=settings.consumer_group, kafka=settings.kafka_bootstrap)
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
        log.info("worker stopped", status=status)
        return status
    return 0


def _require_web_port(settings: Settings) -> None:
    if settings.web_port == 0:
        return
    try:
        family = socket.getaddrinfo(settings.web_host, settings.web_port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.web_host, settings.web_port))
    except OSError as error:
        raise SettingsError(
            f"STREAMPROC_WEB_PORT = {settings.web_port} on {settings.web_host} cannot be used: {error.strerror}. "
            "Choose another port; 0 serves neither health nor metrics."
        ) from None


async def _patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Servers that are started together with the worker take longer than it does."""
    deadline = time.monotonic() + START_SECONDS
    told = ""
    while True:
        try:
            return await attempt()
        except TransientError as error:
            if time.monotonic() > deadline:
                raise
            if str(error) != told:
                told = str(error)
                log.warning("waiting for a dependency before the start", reason=told)
            await asyncio.sleep(START_RETRY_SECONDS)


class EmbeddedWorker:
    """The same Faust app in the running event loop: ``streamproc demo`` and tests.

    Args:
        settings: as for a process; the web server stays off unless ``web`` is true.
        parts: pipeline, graph and knowledge, the latter filled beforehand where wanted.
        web: whether health and metrics are served.
        clock: the source of time.
    """

    def __init__(
        self, settings: Settings, parts: Parts, *, web: bool = False, clock: Clock | None = None
    ) -> None:
        self._runtime = Runtime(settings, parts, loop=asyncio.get_running_loop(), web=web, clock=clock)

    @property
    def health(self) -> Health:
        """Whether it lives and is ready, and why not."""
        return self._runtime.health()

    @property
    def crash(self) -> BaseException | None:
        """What ended it, if it crashed."""
        reason: Any = self._runtime.app.crash_reason
        return reason if isinstance(reason, BaseException) else None

    async def start(self) -> None:
        """Start; returns when the group has given it partitions."""
        calm_collector()
        await self._runtime.app.start()

    async def wait_ready(self, seconds: float = 30.0) -> None:
        """Return when it is ready.

        Raises:
            TimeoutError: it was not, for that long; the message says why.
            BaseException: it crashed, with what it crashed of.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not self.health.ready:
            if self.crash is not None:
                raise self.crash
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"not ready after {seconds:g} s: {'; '.join(self.health.not_ready)}")
            await asyncio.sleep(READY_POLL_SECONDS)

    async def stop(self) -> None:
        """Finish what is under way, commit, leave the group, and close the parts."""
        await self._runtime.app.stop()
