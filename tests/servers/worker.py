"""The production worker as a process, with the shipped models, on a broker in memory; it serves ``/metrics``."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from streamproc.config import Settings
from streamproc.events.topics import TOPICS
from streamproc.streams.embedded import EmbeddedBroker
from tests.servers.process import Started, free_ports

__all__ = ["Sample", "WorkerProcess", "read_samples", "worker_process"]

STREAMPROC = (sys.executable, "-c", "from streamproc.cli import main; main()")
START_SECONDS = 90.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Sample:
    """One line of an exposition."""

    name: str
    labels: dict[str, str]
    value: float


def read_samples(url: str) -> list[Sample]:
    """Scrape an address once."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    return [
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


class WorkerProcess:
    """A worker under way: its settings, for clients of its topics, and its web address."""

    def __init__(self, settings: Settings, variables: dict[str, str], log: Path) -> None:
        self.settings = settings
        self._variables = variables
        self.web = f"http://127.0.0.1:{settings.web_port}"
        self._log = log

    def scrape(self) -> list[Sample]:
        """All samples of ``/metrics``."""
        return read_samples(f"{self.web}/metrics")

    def families(self) -> set[str]:
        """Names of all metrics that ``/metrics`` declares, those without a series too."""
        with urllib.request.urlopen(f"{self.web}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {family.name for family in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float:
        """The one sample of this name with these labels; it must be there."""
        found = [
            each for each in self.scrape() if each.name == name and labels.items() <= each.labels.items()
        ]
        assert len(found) == 1, f"{name}{labels}: {found}"
        return found[0].value

    async def until(self, name: str, value: float, seconds: float = 60, **labels: str) -> None:
        """Return when a metric has at least this value."""
        deadline = time.monotonic() + seconds
        while not any(
            each.name == name and labels.items() <= each.labels.items() and each.value >= value
            for each in await asyncio.to_thread(self.scrape)
        ):
            assert time.monotonic() < deadline, f"{name}{labels} < {value}: {self.said}"
            await asyncio.sleep(0.2)

    def streamproc(self, *arguments: str) -> None:
        """Run ``streamproc …`` with the worker's settings; it must succeed."""
        done = subprocess.run(
            [*STREAMPROC, *arguments], env=self._variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def is_ready(self) -> bool:
        """What ``/health/ready`` says."""
        try:
            with urllib.request.urlopen(f"{self.web}/health/ready", timeout=5) as answer:
                return bool(json.load(answer)["ok"])
        except (OSError, urllib.error.URLError):
            return False

    @property
    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-3000:]


@contextlib.contextmanager
def worker_process(home: Path, **variables: str) -> Iterator[WorkerProcess]:
    """Run ``streamproc worker`` until the block ends; gives it once it is ready.

    Args:
        home: an empty directory for its graph, cache and log.
        variables: further settings, by the names of their environment variables without ``STREAMPROC_``.
    """
    (port,) = free_ports(1)
    with EmbeddedBroker() as broker:
        given = {
            "KAFKA_BOOTSTRAP": broker.bootstrap,
            "TOPIC_PARTITIONS": "2",
            "MILVUS_URI": str(home / "graph.db"),
            "CACHE_DIR": str(home / "cache"),
            "WEB_HOST": "127.0.0.1",
            "WEB_PORT": str(port),
            **variables,
        }
        settings = Settings(**{name.lower(): value for name, value in given.items()})
        for topic in TOPICS:
            broker.create_topic(topic.name, 1 if topic.single_partition else settings.topic_partitions)
        log = home / "worker.log"
        environment = {**os.environ, **{f"STREAMPROC_{name}": value for name, value in given.items()}}
        process = Started([*STREAMPROC, "worker"], log, environment=environment)
        worker = WorkerProcess(settings, environment, log)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not worker.is_ready():
                assert process.status is None, worker.said
                assert time.monotonic() < deadline, worker.said
                time.sleep(0.2)
            yield worker
        finally:
            process.stop(STOP_SECONDS)
