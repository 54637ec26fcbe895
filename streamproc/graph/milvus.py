"""The one way to Milvus: blocking calls of pymilvus on threads of their own, with deadlines and our errors."""

import asyncio
import fcntl
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import grpc  # type: ignore[import-untyped]
from pymilvus import MilvusClient
from pymilvus.exceptions import ConnectionConfigException, MilvusException, ParamError
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from streamproc.config import Settings
from streamproc.errors import (
    DeadlineError,
    DependencyDownError,
    GraphMismatchError,
    SettingsError,
    StreamprocError,
    TransientError,
)
from streamproc.graph.access import Access, WireAccess
from streamproc.grpc_options import RECONNECT

__all__ = ["GraphAddress", "Milvus", "is_open_elsewhere", "kept_closed"]

T = TypeVar("T")

SERVER_THREADS = 4
"""Calls in flight to a server: a search, a write and a probe, with one to spare."""

LITE_THREADS = 1
"""Milvus Lite is Python in this process: a second thread gains nothing, and while one flushes, rows on
their way from memory to a file are seen by no other. One at a time also keeps writes in order."""

_NOT_FOUND = 100
"""Milvus' code for a collection that does not exist."""

_NOT_LOADED = 101
"""Milvus' code for a collection that a restarted server has not read into memory."""

_INVALID = frozenset({6, *range(1100, 1200), grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE})
"""Milvus' codes, and gRPC's, for a request that was understood and refused."""


@dataclass(frozen=True)
class GraphAddress:
    """Where the graph is.

    Attributes:
        uri: path of a Milvus Lite ``.db``, or ``http://…`` of a server.
        token: ``user:password`` or an API key; empty: none.
        timeout_seconds: how long one call may take.
        topic_prefix: the topics' prefix; graphs of two prefixes never mix.
    """

    uri: str
    token: str = ""
    timeout_seconds: float = 10.0
    topic_prefix: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "GraphAddress":
        """The address that the settings name."""
        return cls(
            settings.milvus_uri, settings.milvus_token, settings.milvus_timeout_seconds, settings.topic_prefix
        )

    @property
    def is_local(self) -> bool:
        """Whether this is a file that one process opens, not a server."""
        return "://" not in self.uri


class Milvus:
    """An open connection. ``call`` and ``rows`` run one function on a thread; nothing else touches Milvus."""

    def __init__(self, address: GraphAddress, client: MilvusClient, threads: ThreadPoolExecutor) -> None:
        self.address = address
        self._client = client
        self._access: Access = _in_process(address) or WireAccess(client, address.timeout_seconds)
        self._threads = threads
        self._collections: tuple[str, ...] = ()

    @classmethod
    async def open(cls, address: GraphAddress) -> "Milvus":
        """Connect.

        Raises:
            SettingsError: the address cannot be used, or its file is open in another process.
            DependencyDownError: the server does not answer.
        """
        # pymilvus logs a traceback for every error that it also raises; ours say it in a sentence.
        # grpc does so for each call that Milvus Lite does not know, which is how pymilvus asks what it knows.
        for name in ("pymilvus", "milvus_lite", "grpc._server"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if address.is_local:
            _check_file(Path(address.uri))
        threads = ThreadPoolExecutor(LITE_THREADS if address.is_local else SERVER_THREADS, "milvus")
        connecting = asyncio.get_running_loop().run_in_executor(threads, _connect, address)
        try:
            client = await asyncio.shield(connecting)
            if address.is_local:
                # A search of this size gains nothing from a second thread, and BLAS and OpenMP threads that wait
                # for work spin: they took as much of the cores again as the search itself. It holds for the whole process.
                threadpool_limits(limits=1)
        except BaseException:
            if address.is_local:
                # Ctrl-C: a client that still talks to the engine in this process would hold up its end for a minute.
                with suppress(Exception):
                    _release(await connecting, address)
            threads.shutdown(wait=False)
            raise
        return cls(address, client, threads)

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Run ``function(client, timeout_seconds, *arguments)`` on a thread.

        Raises:
            DeadlineError: it took longer than it may.
            DependencyDownError: Milvus cannot be reached.
            GraphMismatchError: a collection has disappeared.
            TransientError: Milvus refused the request.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: self._attempt(function, arguments)
            )
        except (MilvusException, grpc.RpcError) as error:
            raise _translated(error, self.address) from error

    async def rows(self, function: Callable[..., T], *arguments: object) -> T:
        """Run ``function(access, *arguments)`` on a thread; raises what ``call`` raises."""
        return await self.call(lambda _client, _timeout: function(self._access, *arguments))

    def keep_loaded(self, collections: tuple[str, ...]) -> None:
        """Name the collections that are to be read into memory again after a restart of the server."""
        self._collections = collections

    async def close(self) -> None:
        """Let go of the connection; a ``.db`` is flushed and may then be opened by another process."""
        await asyncio.get_running_loop().run_in_executor(self._threads, _release, self._client, self.address)
        self._threads.shutdown(wait=True)

    def _attempt(self, function: Callable[..., T], arguments: tuple[object, ...]) -> T:
        timeout_seconds = self.address.timeout_seconds
        try:
            return function(self._client, timeout_seconds, *arguments)
        except MilvusException as error:
            if error.code != _NOT_LOADED:
                raise
            for collection in self._collections:
                self._client.load_collection(collection, timeout=timeout_seconds)
            return function(self._client, timeout_seconds, *arguments)


def _release(client: MilvusClient, address: GraphAddress) -> None:
    client.close()
    if address.is_local:
        from milvus_lite.server_manager import server_manager_instance  # noqa: PLC0415 - Lite only

        server_manager_instance.release_server(address.uri)


def _in_process(address: GraphAddress) -> Access | None:
    if not address.is_local:
        return None
    from streamproc.graph.lite import lite_access  # noqa: PLC0415 - the worker's image has no Milvus Lite

    return lite_access(Path(address.uri))


def _connect(address: GraphAddress) -> MilvusClient:
    try:
        return MilvusClient(
            uri=address.uri, token=address.token, timeout=address.timeout_seconds, grpc_options=RECONNECT
        )
    except (ConnectionConfigException, ValueError) as error:
        if not address.is_local:
            raise SettingsError(
                f"STREAMPROC_MILVUS_URI = {address.uri!r} is not an address of Milvus: {error}"
            ) from None
        if is_open_elsewhere(Path(address.uri)):
            raise SettingsError(
                f"STREAMPROC_MILVUS_URI = {address.uri!r} is open in another process, and a .db is for one process "
                f"only. To share a graph, run a Milvus server, or `milvus-lite server --data-dir {address.uri}`, and set "
                "STREAMPROC_MILVUS_URI=http://host:19530 for every worker."
            ) from None
        raise SettingsError(
            f"STREAMPROC_MILVUS_URI = {address.uri!r} cannot be opened as a Milvus Lite database: it was written by "
            "something else, or is damaged. Move it away; `streamproc graph rebuild` builds the graph anew."
        ) from None
    except (MilvusException, grpc.RpcError) as error:
        raise _translated(error, address) from None


def _check_file(path: Path) -> None:
    if path.suffix != ".db":
        raise SettingsError(
            f"STREAMPROC_MILVUS_URI = {str(path)!r} is neither a path ending in .db (Milvus Lite) nor http://host:port"
        )
    if not path.absolute().parent.is_dir():
        raise SettingsError(
            f"STREAMPROC_MILVUS_URI = {str(path)!r}: the directory {path.absolute().parent} does not exist"
        )
    if path.is_file():
        raise SettingsError(
            f"STREAMPROC_MILVUS_URI = {str(path)!r} is a file; Milvus Lite keeps a directory there. Name another path."
        )


def is_open_elsewhere(path: Path) -> bool:
    """Whether another process has this Milvus Lite ``.db`` open."""
    with kept_closed(path) as closed:
        return not closed


@contextmanager
def kept_closed(path: Path) -> Iterator[bool]:
    """Whether a Milvus Lite ``.db`` is closed; if so, no process can open it before the block ends."""
    try:
        lock = (path / "LOCK").open("rb")
    except OSError:  # nobody has ever opened it
        yield True
        return
    with lock:
        yield _shared(lock)


def _shared(lock: BinaryIO) -> bool:
    """Whether the lock could be had together with others that only read; Milvus Lite holds it alone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody holds one
        return True
    return True


def _translated(error: Any, address: GraphAddress) -> StreamprocError:
    """Our error for one of pymilvus', by its gRPC status or else by Milvus' own code."""
    if isinstance(error, grpc.RpcError):
        code, message = error.code(), error.details()
    else:
        code, message = error.code, error.message
    message = message or type(error).__name__
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return SettingsError(f"Milvus at {address.uri} refuses STREAMPROC_MILVUS_TOKEN: {message}")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError(f"Milvus at {address.uri} did not answer within {address.timeout_seconds:g} s")
    if code == _NOT_FOUND:
        return GraphMismatchError(
            f"a collection of the graph at {address.uri} is gone: {message}. Run `streamproc graph rebuild`."
        )
    if (
        isinstance(error, ParamError)
        or code in _INVALID
        or (address.is_local and not isinstance(code, grpc.StatusCode))
    ):
        return TransientError(f"Milvus at {address.uri} refused a request: {message}")
    return DependencyDownError(
        "Milvus", f"{address.uri}: {message}. Start it, or correct STREAMPROC_MILVUS_URI."
    )
