"""The compose files as they are loaded, and the programs that check what they mount."""

import os
from pathlib import Path

import pytest

from tests.compose.loader import CannotRunError, loader, model
from tests.servers.prometheus import prometheus_binary, promtool

__all__ = ["prometheus_binary", "promtool"]

COMPOSE = Path(__file__).parents[2] / "compose"
REQUIRE = "STREAMPROC_TESTS_REQUIRE_COMPOSE"
VARIABLES = {"GRAFANA_ADMIN_PASSWORD": "chosen"}


@pytest.fixture(scope="session")
def load():
    """Loads compose files, by their names in ``compose/``, as ``docker compose config`` does."""
    try:
        command = loader()
    except CannotRunError as error:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{error}, and {REQUIRE}=1 forbids leaving these tests out")
        pytest.skip(str(error))
    return lambda *names, **variables: model(
        command, [COMPOSE / name for name in names], {**VARIABLES, **variables}
    )


@pytest.fixture(scope="session")
def services(load):
    """The services of ``compose.yaml`` by name."""
    return load("compose.yaml")["services"]


@pytest.fixture(scope="session")
def gpu_services(load):
    """The services with the override for GPUs."""
    return load("compose.yaml", "compose.gpu.yaml")["services"]
