"""Language models as rivals: they choose among the same candidates as the bundle (LLM4Tag, table 2)."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from streamproc.errors import UnusableAnswersError
from streamproc.evaluation.dataset import Dataset, LabelledNote
from streamproc.evaluation.llm_prompts import METHODS, Method
from streamproc.evaluation.samples import History
from streamproc.graph.recall import Recalled
from streamproc.llm.asking import Manner, Outcome, Question, ask_all
from streamproc.llm.bill import Bill, CountTokens, reckon
from streamproc.llm.cache import AnswerCache
from streamproc.llm.endpoint import Endpoint

__all__ = ["Asking", "LanguageModelRanker", "language_model_rankers"]


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom to ask, and how.

    Attributes:
        endpoint: of the model.
        cache: the file where answers are kept: evaluating again asks nothing twice.
        manner: bounds on how the endpoint is used.
        count_tokens: to reckon what it costs.
        say: told what it will cost before the first question, and what went wrong.
        progress: opened while a method asks; what it gives is told what is being done, how much of it is done, and
            of how much.
    """

    endpoint: Endpoint
    cache: Path
    manner: Manner
    count_tokens: CountTokens
    say: Callable[[str], None]
    progress: Callable[[], AbstractContextManager[Callable[[str, int, int], None]]]


class LanguageModelRanker:
    """One method with one model; a ``Ranker``.

    A note may stay without an answer (refused, unreadable twice, rejected); ``say`` is told how many do. A model whose
    answers cannot be used, one after another, is not asked on: no note counts as answered then.

    Args:
        method: the prompt and how its answer is read.
        asking: the model.
        history: samples are taken from here.
    """

    def __init__(self, method: Method, asking: Asking, history: History) -> None:
        self._method = method
        self._asking = asking
        self._history = history

    @property
    def name(self) -> str:
        """The method and the model."""
        return f"{self._method.name} ({self._asking.endpoint.model})"

    def rank(
        self, notes: Sequence[LabelledNote], recalled: Sequence[Recalled]
    ) -> Sequence[Sequence[str] | None]:
        """The candidates that the model gives each note, best first; None: it gave no answer.

        Raises:
            UserError: key, model or URL are wrong, or the endpoint takes none of the questions.
            TransientError: the endpoint cannot be reached or does not recover; a second run goes on from there.
        """
        asking, method = self._asking, self._method
        questions = {
            place: self._question(note, found)
            for place, (note, found) in enumerate(zip(notes, recalled, strict=True))
            if found.tags
        }
        with AnswerCache(asking.cache) as cache:
            asked = list(questions.values())
            guess = sum(method.answer_tokens(len(each.tags)) for each in recalled) / max(len(asked), 1)
            bill = reckon(
                asked,
                asking.endpoint,
                cache,
                asking.count_tokens,
                guess,
                ask_again=asking.manner.ask_again,
            )
            asking.say(_bill_line(self.name, bill))
            try:
                outcomes = self._ask(asked, cache)
            except UnusableAnswersError as error:
                asking.say(f"{error}; {self.name} is left out")
                return [None if place in questions else [] for place in range(len(notes))]
        answers = dict(zip(questions, outcomes, strict=True))
        unanswered = sum(outcome.value is None for outcome in outcomes)
        if unanswered:
            asking.say(
                f"{self.name}: {unanswered:,} of {len(outcomes):,} notes unanswered; --ask-again asks them anew"
            )
        return [answers[place].value if place in answers else [] for place in range(len(notes))]

    def _ask(self, questions: Sequence[Question[list[str]]], cache: AnswerCache) -> list[Outcome[list[str]]]:
        asking = self._asking
        with asking.progress() as progress:
            return asyncio.run(
                ask_all(
                    asking.endpoint,
                    questions,
                    cache,
                    asking.manner,
                    progress=lambda done, total: progress(self.name, done, total),
                    notice=asking.say,
                )
            )

    def _question(self, note: LabelledNote, found: Recalled) -> Question[list[str]]:
        samples = self._history.samples(found) if self._method.shows_samples else ()
        return self._method.question(note.note, found.tags, samples)


def language_model_rankers(dataset: Dataset, asking: Asking) -> tuple[LanguageModelRanker, ...]:
    """The paper's three, with one model and samples from the dataset's train."""
    history = History(dataset)
    return tuple(LanguageModelRanker(method, asking, history) for method in METHODS)


def _bill_line(name: str, bill: Bill) -> str:
    return (
        f"{name}: {bill.questions:,} questions ({bill.known:,} more are known from earlier runs), about "
        f"{bill.prompt_tokens:,} tokens in and {bill.completion_tokens:,} out"
    )
