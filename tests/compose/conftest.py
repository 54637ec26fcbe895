"""The compose files as they are loaded, and the programs that check what they mount."""

from pathlib import Path

import pytest

from tests.compose.loader import model
from tests.servers.prometheus import prometheus_binary, promtool

__all__ = ["prometheus_binary", "promtool"]

COMPOSE = Path(__file__).parents[2] / "compose"
VARIABLES = {"GRAFANA_ADMIN_PASSWORD": "chosen"}


@pytest.fixture(scope="session")
def load():
    """Loads compose files, by their names in ``compose/``, as ``docker compose config`` does."""
    return lambda *names, **variables: model([COMPOSE / name for name in names], {**VARIABLES, **variables})


@pytest.fixture(scope="session")
def services(load):
    """The services of ``compose.yaml`` by name."""
    return load("compose.yaml")["services"]


@pytest.fixture(scope="session")
def gpu_services(load):
    """The services with the override for GPUs."""
    return load("compose.yaml", "compose.gpu.yaml")["services"]
