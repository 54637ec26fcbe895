"""A language model's endpoint for the tests: a real HTTP server on a free loopback port that speaks OpenAI's
chat completions and can be told to fail in every way that real ones do.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import pytest
from aiohttp import web

__all__ = [
    "Asked",
    "LanguageModel",
    "cuts",
    "fails",
    "hangs",
    "language_model",
    "later",
    "refuses",
    "resets",
    "says",
    "trickles",
]


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def user(self) -> str:
        """The first user message, without its images."""
        content = self.body["messages"][1]["content"]
        return content if isinstance(content, str) else content[0]["text"]

    @property
    def structure(self) -> str:
        """How the form of the answer was asked for."""
        return self.body.get("response_format", {"type": "text"})["type"]


Act = Callable[[web.Request, Asked], Awaitable[web.StreamResponse]]


def says(
    text: str | Callable[[Asked], str],
    *,
    finish: str = "stop",
    prompt_tokens: int = 100,
    completion_tokens: int = 20,
) -> Act:
    """A completion with this text, or what the function makes of the request."""

    async def act(_request: web.Request, asked: Asked) -> web.StreamResponse:
        message = {"role": "assistant", "content": text if isinstance(text, str) else text(asked)}
        return _completion(message, finish, prompt_tokens, completion_tokens)

    return act


def cuts(text: str) -> Act:
    """A completion that ended at its limit."""
    return says(text, finish="length")


def refuses(words: str) -> Act:
    """A refusal, as structured outputs give it."""

    async def act(_request: web.Request, _asked: Asked) -> web.StreamResponse:
        return _completion({"role": "assistant", "content": None, "refusal": words}, "stop", 100, 5)

    return act


def fails(status: int, message: str = "out of order", headers: dict[str, str] | None = None) -> Act:
    """An error in OpenAI's form."""

    async def act(_request: web.Request, _asked: Asked) -> web.StreamResponse:
        return web.json_response({"error": {"message": message}}, status=status, headers=headers)

    return act


def hangs() -> Act:
    """Nothing, until the client gives up."""

    async def act(_request: web.Request, _asked: Asked) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return act


def trickles(pause_seconds: float) -> Act:
    """A byte now and then, without end."""

    async def act(request: web.Request, _asked: Asked) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(pause_seconds)

    return act


def later(seconds: float, act: Act) -> Act:
    """The same after some thought."""

    async def thoughtful(request: web.Request, asked: Asked) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await act(request, asked)

    return thoughtful


def resets() -> Act:
    """The connection breaks in the middle of the answer."""

    async def act(request: web.Request, _asked: Asked) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        assert request.transport is not None
        request.transport.abort()
        return response

    return act


def _completion(message: dict[str, Any], finish: str, prompt: int, completion: int) -> web.Response:
    return web.json_response(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "tiny",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
        }
    )


class LanguageModel:
    """The server; runs in a thread of its own, so that commands may start their own event loops.

    Attributes:
        next_acts: what it does for the next requests, one after the other.
        act: what it does then.
        asked: every request that came through with the right key.
        most_at_once: how many requests were ever under way together.
        slow_seconds: how long it thinks.
        key: the only one it takes; empty: any.
    """

    def __init__(self) -> None:
        self.next_acts: deque[Act] = deque()
        self.act: Act = says('{"ok": true}')
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self.slow_seconds = 0.0
        self.key = ""
        self._under_way = 0
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="language model", daemon=True)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "Incorrect API key provided"}}, status=401)
        asked = Asked(await request.json(), {name.lower(): value for name, value in request.headers.items()})
        self.asked.append(asked)
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            if self.slow_seconds:
                await asyncio.sleep(self.slow_seconds)
            act = self.next_acts.popleft() if self.next_acts else self.act
            return await act(request, asked)
        finally:
            self._under_way -= 1


@pytest.fixture
def language_model() -> Iterator[LanguageModel]:
    """An endpoint that answers every question with ``{"ok": true}`` until it is told otherwise."""
    with LanguageModel() as server:
        yield server
