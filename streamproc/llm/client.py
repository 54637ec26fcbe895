"""One request to a language model's endpoint: a reply, or the error that says what to do about it."""

import asyncio
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from streamproc.errors import (
    BusyError,
    DeadlineError,
    DependencyDownError,
    RejectedQuestionError,
    SettingsError,
    UserError,
)
from streamproc.llm.dialect import Dialect
from streamproc.llm.endpoint import Endpoint
from streamproc.llm.prompt import AnswerForm, Message
from streamproc.llm.reply import Reply, read_reply
from streamproc.llm.retry import retry_after_seconds

__all__ = ["ChatClient"]

_SHOWN_CHARACTERS = 300

# Statuses that pass: time-out, conflict, too early, too many, and everything the server takes upon itself.
_PASSING = frozenset({408, 409, 425, 429})


class ChatClient:
    """Posts conversations to an endpoint. One per event loop; use it as a context.

    Args:
        endpoint: where to.
        deadline_seconds: for one request, connecting and reading included.
        connections: kept open at once.

    Raises:
        SettingsError: the environment names a proxy that cannot be used.
    """

    def __init__(self, endpoint: Endpoint, *, deadline_seconds: float, connections: int) -> None:
        self._endpoint = endpoint
        self._deadline_seconds = deadline_seconds
        self._dialect = Dialect()
        headers = {"content-type": "application/json", "user-agent": "streamproc"}
        if endpoint.key:
            headers["authorization"] = f"Bearer {endpoint.key}"
        try:
            self._http = httpx.AsyncClient(
                headers=headers,
                timeout=deadline_seconds,
                limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise SettingsError(
                f"the proxy that the environment names (HTTPS_PROXY, ALL_PROXY …) cannot be used: {error}"
            ) from None

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def post(self, messages: tuple[Message, ...], form: AnswerForm, max_tokens: int) -> Reply:
        """Ask once; where the endpoint does not know the wording of the request, again in a plainer one.

        Raises:
            RejectedQuestionError: the endpoint does not take this question.
            BusyError: it cannot answer now.
            DeadlineError: it took too long.
            DependencyDownError: no connection, or it broke.
            SettingsError: key, model or URL are wrong.
            UserError: the account is used up.
        """
        while True:
            dialect = self._dialect
            response = await self._send(dialect.request(self._endpoint, messages, form, max_tokens))
            if response.is_success:
                break
            plainer = dialect.after(self._said(response)) if response.status_code in {400, 422} else None
            if plainer is None:
                raise self._error(response)
            if self._dialect == dialect:  # requests under way at once learn the same thing once
                self._dialect = plainer
        reply = read_reply(response.content)
        if reply is None:
            raise RejectedQuestionError(
                f"{self._endpoint.completions_url} answers, but with no chat completion ({self._said(response)}): "
                "give the base URL, which often ends in /v1"
            )
        return reply

    async def _send(self, body: bytes) -> httpx.Response:
        url = self._endpoint.completions_url
        try:
            async with asyncio.timeout(self._deadline_seconds):  # httpx bounds every read, not their sum
                return await self._http.post(url, content=body)
        except (TimeoutError, httpx.TimeoutException):
            raise DeadlineError(f"{url} gave no answer within {self._deadline_seconds:g} s") from None
        except httpx.RequestError as error:
            raise DependencyDownError(url, str(error) or type(error).__name__) from None

    def _error(self, response: httpx.Response) -> Exception:
        endpoint, status, said = self._endpoint, response.status_code, self._said(response)
        if status == httpx.codes.UNAUTHORIZED:
            if not endpoint.key:
                return SettingsError(f"{endpoint.url} wants a key (401): set {endpoint.key_variable}")
            return SettingsError(
                f"{endpoint.url} rejects the key of {endpoint.key_variable} (401: {said}): set the right one"
            )
        if status in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED} or response.is_redirect:
            return SettingsError(
                f"{endpoint.url} has no model {endpoint.model!r} or no chat completions ({status}: {said}): "
                "check the model's name, and that the base URL is complete (it often ends in /v1)"
            )
        if status == httpx.codes.PAYMENT_REQUIRED or "insufficient_quota" in response.text:
            return UserError(f"the account at {endpoint.url} is used up ({status}: {said})")
        if status in _PASSING or response.is_server_error:
            asked = retry_after_seconds(response.headers.get("retry-after"), datetime.now(UTC))
            return BusyError(f"{endpoint.url} answers {status}: {said}", asked)
        return RejectedQuestionError(f"{endpoint.url} does not take the question ({status}: {said})")

    def _said(self, response: httpx.Response) -> str:
        """What an error response says, whatever its form, in one short line that may be shown: without the key."""
        try:
            body: Any = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            body = response.text
        for name in ("error", "message", "detail"):
            if isinstance(body, dict) and body.get(name):
                body = body[name]
        words = body if isinstance(body, str) else orjson.dumps(body).decode()
        if self._endpoint.key:
            words = words.replace(self._endpoint.key, "…")
        line = "".join(each for each in " ".join(words.split()) if each.isprintable())
        return line[:_SHOWN_CHARACTERS] or response.reason_phrase
