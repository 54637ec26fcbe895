"""A graph for each test: on a ``.db``, on a server, or on whichever of them a test asks for."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from streamproc.graph.milvus import GraphAddress
from streamproc.graph.store import MilvusGraph
from tests.graph.material import DIMENSION, ENCODER_HASH
from tests.servers.milvus import milvus_server, milvus_standalone

__all__ = ["milvus_server", "milvus_standalone"]


@pytest.fixture
def lite_address(tmp_path: Path) -> GraphAddress:
    return GraphAddress(str(tmp_path / "graph.db"), timeout_seconds=30.0)


@pytest_asyncio.fixture
async def graph(lite_address: GraphAddress) -> AsyncIterator[MilvusGraph]:
    opened = await MilvusGraph.open(lite_address, ENCODER_HASH, DIMENSION)
    yield opened
    await opened.close()


@pytest.fixture
def unique_prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}."
