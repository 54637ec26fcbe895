"""What asking would cost, reckoned before a single question is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.llm.asking import Question, cached_outcome
from streamproc.llm.cache import AnswerCache
from streamproc.llm.endpoint import Endpoint
from streamproc.llm.prompt import IMAGE_TOKENS

__all__ = ["Bill", "Prices", "reckon"]

CountTokens = Callable[[Sequence[str]], Sequence[int]]
"""How many tokens each of these texts has."""

_PER = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens costs, in whatever currency the endpoint is paid in."""

    prompt: float
    completion: float


@dataclass(frozen=True, slots=True)
class Bill:
    """An estimate: the model's own tokenizer counts otherwise, and failed questions are asked twice.

    Attributes:
        questions: to be asked.
        known: questions whose answers are in the cache already; they cost nothing.
        images: shown with the questions.
        prompt_tokens: of the questions, images at a flat rate.
        completion_tokens: of the answers.
        measured: whether the answers' length is that of earlier answers to the same prompt, not a guess.
    """

    questions: int
    known: int
    images: int
    prompt_tokens: int
    completion_tokens: int
    measured: bool

    def amount(self, prices: Prices) -> float:
        """In the currency of the prices."""
        return (self.prompt_tokens * prices.prompt + self.completion_tokens * prices.completion) / _PER


def reckon(
    questions: Sequence[Question[Any]],
    endpoint: Endpoint,
    cache: AnswerCache,
    count_tokens: CountTokens,
    guessed_completion_tokens: float,
    *,
    ask_again: bool = False,
) -> Bill:
    """The bill for what is not in the cache.

    Args:
        questions: all of a run.
        endpoint: that will be asked.
        cache: of earlier runs.
        count_tokens: by any tokenizer near the model's.
        guessed_completion_tokens: of an answer, on average; used until the cache knows better.
        ask_again: as in ``Manner``.
    """
    open_prompts = [
        question.prompt
        for question in questions
        if cached_outcome(question, endpoint, cache, ask_again=ask_again) is None
    ]
    images = sum(len(prompt.images) for prompt in open_prompts)
    # What all questions have in common is counted once.
    shared = {prompt.system for prompt in open_prompts}
    system = dict(zip(shared, count_tokens(list(shared)), strict=True))
    users = count_tokens([prompt.user for prompt in open_prompts])
    seen = [
        cache.mean_completion_tokens(endpoint.model, version)
        for version in sorted({prompt.version for prompt in open_prompts})
    ]
    known = [mean for mean in seen if mean is not None]
    mean = sum(known) / len(known) if known else guessed_completion_tokens
    return Bill(
        questions=len(open_prompts),
        known=len(questions) - len(open_prompts),
        images=images,
        prompt_tokens=sum(users) + sum(system[each.system] for each in open_prompts) + images * IMAGE_TOKENS,
        completion_tokens=round(mean * len(open_prompts)),
        measured=bool(known) and len(known) == len(seen),
    )
