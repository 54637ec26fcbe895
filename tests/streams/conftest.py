"""Brokers for apps of the intake."""

from typing import Any

import pytest

from streamproc.streams.embedded import EmbeddedBroker
from tests.streams.faust_apps import Broker


@pytest.fixture(params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> Any:
    if request.param == "kafka":
        yield Broker(request.getfixturevalue("kafka_bootstrap"))
        return
    with EmbeddedBroker() as embedded:
        yield Broker(embedded.bootstrap, embedded)


@pytest.fixture
def kafka(kafka_bootstrap: str) -> Broker:
    return Broker(kafka_bootstrap)
