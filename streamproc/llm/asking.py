"""Putting many questions to a language model: cached, paced, retried, and asked once more where it helps."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from streamproc.errors import (
    AnswerError,
    BusyError,
    DependencyDownError,
    RefusalError,
    RejectedQuestionError,
    StreamprocError,
    TransientError,
    UnreadableAnswerError,
    UnusableAnswersError,
    UserError,
)
from streamproc.llm.cache import AnswerCache, CachedAnswer, Ending
from streamproc.llm.client import ChatClient
from streamproc.llm.endpoint import Endpoint
from streamproc.llm.pace import Pace
from streamproc.llm.prompt import AnswerForm, Message, Prompt
from streamproc.llm.reply import Reply, ReplyStatus, Usage
from streamproc.llm.retry import Retry
from streamproc.observability.clock import Clock, SystemClock

__all__ = ["Manner", "Outcome", "Question", "ask_all", "cached_outcome"]

T = TypeVar("T")

HOPELESS = 5
"""So many questions in a row without an answer are no accident: the run stops."""

_FIRST_CONTACT_ATTEMPTS = 2  # an address where nobody has ever answered is more likely wrong than down

_AGAIN_UNREADABLE = (
    "That cannot be used: {wrong}. Answer again, with nothing but the JSON object in the form asked for."
)
_AGAIN_REFUSED = (
    "You are not asked to judge, repeat or endorse the content, only to catalogue it for a search index. "
    "Answer with the JSON object in the form asked for."
)
_NOTHING_SAID = "(no answer)"  # servers reject an empty turn


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A prompt and how its answer is understood.

    Attributes:
        prompt: what is asked.
        read: the answer's text as a value; raises UnreadableAnswerError.
    """

    prompt: Prompt
    read: Callable[[str], T]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of a question.

    Attributes:
        value: the answer; None exactly where ``failure`` says why there is none.
        failure: an AnswerError, or a TransientError that stayed.
        usage: of all requests it took, also those of an earlier run.
        cached: whether it was known from an earlier run.
    """

    value: T | None
    failure: StreamprocError | None = None
    usage: Usage = field(default_factory=Usage)
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """How an endpoint is treated.

    Attributes:
        concurrency: requests under way at once.
        requests_per_minute: None: any number.
        tokens_per_minute: of questions and answers; None: any number.
        deadline_seconds: for one request.
        retry: of requests that failed for the moment.
        reckoned_answer_tokens: what an answer counts for the pace until it has come.
        ask_again: whether questions that were refused or answered unreadably in an earlier run are asked anew.
    """

    concurrency: int = 8
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    deadline_seconds: float = 120.0
    retry: Retry = field(default_factory=Retry)
    reckoned_answer_tokens: int = 500
    ask_again: bool = False


def cached_outcome(
    question: Question[T], endpoint: Endpoint, cache: AnswerCache, *, ask_again: bool = False
) -> Outcome[T] | None:
    """What is known of a question without asking it; None: it would have to be asked."""
    known = cache.get(question.prompt.key(endpoint))
    if known is None or (ask_again and known.ending is not Ending.ANSWERED):
        return None
    if known.ending is Ending.REFUSED:
        return Outcome(None, RefusalError(known.text), known.usage, cached=True)
    if known.ending is Ending.UNREADABLE:
        return Outcome(None, UnreadableAnswerError(known.text), known.usage, cached=True)
    try:
        return Outcome(question.read(known.text), None, known.usage, cached=True)
    except UnreadableAnswerError:  # kept by a version that read answers otherwise
        return None


async def ask_all(
    endpoint: Endpoint,
    questions: Sequence[Question[T]],
    cache: AnswerCache,
    manner: Manner,
    *,
    clock: Clock | None = None,
    chance: random.Random | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    notice: Callable[[str], None] = lambda _line: None,
) -> list[Outcome[T]]:
    """Ask every question and wait for all answers; outcomes stand in the order of the questions.

    An answer is in the cache as soon as it has come: after an interruption, the same call goes on from there.
    A question without an answer is no error here, unless five in a row got none; answers that cannot be used stop the run
    only before the first that can.

    Args:
        endpoint: whom to ask.
        questions: each on its own.
        cache: of this and earlier runs.
        manner: bounds on how the endpoint is used.
        clock: None: the system's.
        chance: for the jitter of pauses; None: the system's.
        progress: told how many questions are settled, and of how many.
        notice: told, in a line, when something had to be sent again and why.

    Raises:
        SettingsError: key, model or URL are wrong.
        UnusableAnswersError: the model answers, and never in a way that can be used.
        UserError: the endpoint takes none of the questions, or the account is used up.
        TransientError: the endpoint cannot be reached or does not recover.
    """
    outcomes: list[Outcome[T] | None] = [
        cached_outcome(question, endpoint, cache, ask_again=manner.ask_again) for question in questions
    ]
    open_places = [place for place, outcome in enumerate(outcomes) if outcome is None]
    settled = len(questions) - len(open_places)
    progress(settled, len(questions))
    waiting = iter(open_places)
    clock = clock or SystemClock()
    async with ChatClient(
        endpoint, deadline_seconds=manner.deadline_seconds, connections=manner.concurrency
    ) as client:
        session = _Session(endpoint, client, cache, manner, clock, chance or random.Random(), notice)  # noqa: S311

        async def work() -> None:
            nonlocal settled
            for place in waiting:  # shared: each place is taken by one worker
                outcomes[place] = await session.ask(questions[place])
                settled += 1
                progress(settled, len(questions))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(manner.concurrency, len(open_places))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            raise _gravest(failures) from None
    return [outcome for outcome in outcomes if outcome is not None]


@dataclass
class _Session:
    """One run against one endpoint."""

    endpoint: Endpoint
    client: ChatClient
    cache: AnswerCache
    manner: Manner
    clock: Clock
    chance: random.Random
    notice: Callable[[str], None]
    pace: Pace = field(init=False)
    reached: bool = field(default=False, init=False)
    in_vain: int = field(default=0, init=False)
    answered: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.clock, self.manner.requests_per_minute, self.manner.tokens_per_minute)

    async def ask(self, question: Question[T]) -> Outcome[T]:
        try:
            outcome = await self._converse(question)
        except RejectedQuestionError as error:
            self.reached = True
            self._count(UserError(f"{error}; {HOPELESS} questions in a row went that way"))
            return Outcome(None, error)
        except TransientError as error:
            self._count(error)
            return Outcome(None, error)
        if outcome.failure is None:
            self.in_vain, self.answered = 0, True
        elif not self.answered:  # one that has answered is worth the others' questions, however many it fails
            self._count(
                UnusableAnswersError(
                    f"{self.endpoint.model}: {outcome.failure}; {HOPELESS} questions in a row went that way: "
                    "ask another model"
                )
            )
        return outcome

    def _count(self, error: StreamprocError) -> None:
        """Go on with other questions only while there is hope that they fare better."""
        self.in_vain += 1
        if self.in_vain >= HOPELESS or not self.reached:
            raise error

    async def _converse(self, question: Question[T]) -> Outcome[T]:
        """Ask, and once more where the answer cannot be used; keep how it ended."""
        prompt = question.prompt
        messages, max_tokens, usage = prompt.messages(), prompt.max_tokens, Usage()
        failure: AnswerError | None = None
        for _ in range(2):
            reply = await self._reply(messages, prompt.form, max_tokens, prompt.reckoned_tokens)
            usage += reply.usage
            try:
                value = _understood(reply, question)
            except AnswerError as error:
                failure = error
                messages = (*messages, *_once_more(reply, error))
                max_tokens *= 2 if reply.status is ReplyStatus.CUT else 1
            else:
                self._keep(prompt, CachedAnswer(Ending.ANSWERED, reply.text, usage))
                return Outcome(value, None, usage)
        ending = Ending.REFUSED if isinstance(failure, RefusalError) else Ending.UNREADABLE
        self._keep(prompt, CachedAnswer(ending, str(failure), usage))
        return Outcome(None, failure, usage)

    def _keep(self, prompt: Prompt, answer: CachedAnswer) -> None:
        self.cache.put(prompt.key(self.endpoint), self.endpoint.model, prompt.version, answer)

    async def _reply(
        self, messages: tuple[Message, ...], form: AnswerForm, max_tokens: int, reckoned: int
    ) -> Reply:
        """One reply, however many requests it takes."""
        reckoned += self.manner.reckoned_answer_tokens
        attempt = 0
        while True:
            attempt += 1
            await self.pace.wait(reckoned)
            try:
                reply = await self.client.post(messages, form, max_tokens)
            except TransientError as error:
                self.reached |= isinstance(error, BusyError)
                pause = self._pause_seconds(attempt, error)
                if pause is None:
                    raise
                if isinstance(error, BusyError) and error.retry_after_seconds is not None:
                    self.pace.hold(pause)
                self.notice(f"{error}; again in {pause:.1f} s")
                await self.clock.sleep(pause)
            else:
                self.reached = True
                if reply.usage.tokens:
                    self.pace.settle(reckoned, reply.usage.tokens)
                return reply

    def _pause_seconds(self, attempt: int, error: TransientError) -> float | None:
        nobody = isinstance(error, DependencyDownError) and not self.reached
        if nobody and attempt >= _FIRST_CONTACT_ATTEMPTS:
            return None
        return self.manner.retry.pause_seconds(attempt, error, self.chance)


def _understood(reply: Reply, question: Question[T]) -> T:
    if reply.status is ReplyStatus.REFUSED:
        raise RefusalError(f"the model declines: {reply.text}")
    try:
        return question.read(reply.text)  # an answer may be whole although the limit was reached
    except UnreadableAnswerError:
        if reply.status is ReplyStatus.CUT:
            raise UnreadableAnswerError("the answer is longer than it may be") from None
        raise


def _once_more(reply: Reply, error: AnswerError) -> tuple[Message, ...]:
    """The turns after which the model may answer better. They alternate: some servers insist on it."""
    if reply.status is ReplyStatus.CUT:
        return ()
    words = _AGAIN_REFUSED if isinstance(error, RefusalError) else _AGAIN_UNREADABLE.format(wrong=error)
    return Message("assistant", reply.text.strip() or _NOTHING_SAID), Message("user", words)


def _gravest(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that stopped the run; one that a person can put right before others."""
    flat = [
        _gravest(error) if isinstance(error, BaseExceptionGroup) else error for error in failures.exceptions
    ]
    return next((error for error in flat if isinstance(error, UserError)), flat[0])
