"""An endpoint, a cache and a clock on which nothing has to be waited for."""

import asyncio

import msgspec
import pytest

from streamproc.llm.asking import Manner, Question, ask_all
from streamproc.llm.cache import AnswerCache
from streamproc.llm.endpoint import Endpoint
from streamproc.llm.prompt import AnswerForm, Prompt
from streamproc.llm.reading import read_answer
from streamproc.observability.clock import SystemClock
from tests.servers.llm import language_model

__all__ = ["language_model"]

FORM = AnswerForm(
    "verdict",
    {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    },
)


class Verdict(msgspec.Struct):
    ok: bool


def question(words="Is it?", **fields):
    prompt = Prompt(version="v1", system="You judge.", user=words, form=FORM, **fields)
    return Question(prompt, lambda text: read_answer(text, Verdict).ok)


class JumpClock(SystemClock):
    """Sleeping is over at once; time stands where the last sleeper woke up."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


class HandClock(SystemClock):
    """Time stands still until ``advance``."""

    def __init__(self):
        self.now = 0.0
        self.sleepers = {}

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        awake = asyncio.Event()
        self.sleepers[awake] = self.now + seconds
        await awake.wait()

    def advance(self, seconds):
        self.now += seconds
        for awake in [each for each, due in self.sleepers.items() if due <= self.now]:
            del self.sleepers[awake]
            awake.set()


@pytest.fixture
def cache(tmp_path):
    with AnswerCache(tmp_path / "answers.sqlite") as opened:
        yield opened


@pytest.fixture
def clock():
    return JumpClock()


@pytest.fixture
def ask(language_model, cache, clock):
    """Ask the endpoint questions, one at a time unless told otherwise."""

    async def run(*questions, **manner):
        endpoint = Endpoint(language_model.url, "tiny", key=manner.pop("key", ""))
        kept = manner.pop("cache", cache)
        notice = manner.pop("notice", lambda _line: None)
        manner = Manner(**{"concurrency": 1, **manner})
        return await ask_all(endpoint, questions, kept, manner, clock=clock, notice=notice)

    return run
