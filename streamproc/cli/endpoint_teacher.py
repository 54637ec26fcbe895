"""``streamproc distill --url``: a language model labels notes, once a person knows what that will cost."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from streamproc.cli.bundles import say
from streamproc.cli.progress import loading_progress
from streamproc.errors import StreamprocError

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.llm.asking import Manner, Outcome, Question
    from streamproc.llm.bill import Bill, CountTokens, Prices
    from streamproc.llm.cache import AnswerCache
    from streamproc.llm.endpoint import Endpoint
    from streamproc.training.distill import Lessons, TaughtSet
    from streamproc.training.teacher_prompt import Teaching

__all__ = ["EndpointTeacher", "label_with_endpoint"]


@dataclass(frozen=True, slots=True)
class EndpointTeacher:
    """A language model, and how it is asked.

    Attributes:
        endpoint: where it is, and its name there.
        cache: the file in which answers are kept as they come.
        manner: how fast, how patiently; the length of answers is reckoned from the lessons.
        images: whether it is shown the notes' images, too.
        max_answer_tokens: how long an answer may be.
    """

    endpoint: "Endpoint"
    cache: Path
    manner: "Manner"
    images: bool
    max_answer_tokens: int


def label_with_endpoint(
    found: "Lessons",
    teacher: EndpointTeacher,
    count_tokens: "CountTokens",
    prices: "Prices | None",
    *,
    dry_run: bool,
    confirm: bool,
) -> "tuple[TaughtSet, str] | None":
    """Say what asking will cost, ask, and put the answers together.

    Args:
        found: the notes, with what guides their tagging.
        teacher: whom to ask.
        count_tokens: for the estimate.
        prices: of a million tokens; None: the estimate is in tokens alone.
        dry_run: whether to ask nothing.
        confirm: whether a person at a terminal is asked before anything is paid.

    Returns:
        the labels, and how many tokens this run used, in words; None where nothing was to be asked.

    Raises:
        StreamprocError: the endpoint cannot be used; the answers so far are kept.
    """
    from streamproc.llm.bill import reckon  # noqa: PLC0415 - a quick --help
    from streamproc.llm.cache import AnswerCache  # noqa: PLC0415
    from streamproc.training.distill import guessed_answer_tokens, taught_set  # noqa: PLC0415
    from streamproc.training.teacher_prompt import teacher_question  # noqa: PLC0415

    endpoint, guess = teacher.endpoint, guessed_answer_tokens(found.lessons)
    questions = [
        teacher_question(lesson, images=teacher.images, max_tokens=teacher.max_answer_tokens)
        for lesson in found.lessons
    ]
    manner = replace(teacher.manner, reckoned_answer_tokens=round(guess))
    with AnswerCache(teacher.cache) as kept:
        bill = reckon(questions, endpoint, kept, count_tokens, guess, ask_again=manner.ask_again)
        say(_bill_line(bill, endpoint, prices))
        if dry_run:
            return None
        if bill.questions and confirm and sys.stdin.isatty() and sys.stderr.isatty():
            typer.confirm(f"Ask {endpoint.model} now?", abort=True, err=True)
        outcomes = _ask(endpoint, questions, kept, manner)
    taught = taught_set(found.lessons, outcomes, endpoint.model)
    if found.without_candidates:
        taught = replace(taught, skipped={**taught.skipped, "without candidates": found.without_candidates})
    fresh = [outcome.usage for outcome in outcomes if not outcome.cached]
    return taught, (
        f"; this run used {sum(each.prompt_tokens for each in fresh):,} tokens in and "
        f"{sum(each.completion_tokens for each in fresh):,} out"
    )


def _ask(
    endpoint: "Endpoint", questions: "Sequence[Question[Teaching]]", cache: "AnswerCache", manner: "Manner"
) -> "list[Outcome[Teaching]]":
    from streamproc.llm.asking import ask_all  # noqa: PLC0415 - a quick --help

    try:
        with loading_progress() as progress:
            return asyncio.run(
                ask_all(
                    endpoint,
                    questions,
                    cache,
                    manner,
                    progress=lambda done, total: progress(f"asking {endpoint.model}", done, total),
                    notice=say,
                )
            )
    except (StreamprocError, KeyboardInterrupt):
        say(f"stopped; the answers so far are in {cache.file}: the same command goes on from there")
        raise


def _bill_line(bill: "Bill", endpoint: "Endpoint", prices: "Prices | None") -> str:
    if not bill.questions:
        return f"all {bill.known:,} answers are known from earlier runs: nothing to pay"
    known = f" ({bill.known:,} are known from earlier runs)" if bill.known else ""
    images = f", {bill.images:,} images among it" if bill.images else ""
    source = "as long as those before" if bill.measured else "a guess"
    amount = "give --price-in and --price-out to see the amount"
    if prices is not None:
        amount = f"{bill.amount(prices):,.2f} at the prices given"
    return (
        f"{bill.questions:,} questions to {endpoint.model}{known}: about {bill.prompt_tokens:,} tokens in{images}, "
        f"{bill.completion_tokens:,} out ({source}); {amount}"
    )
