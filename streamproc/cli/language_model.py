"""``eval --llm``: a language model as a rival, behind any OpenAI-compatible endpoint."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.bundles import say
from streamproc.cli.progress import loading_progress
from streamproc.config import load_settings
from streamproc.errors import UserError
from streamproc.llm.endpoint import KEY_VARIABLE, Endpoint

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.evaluation.dataset import Dataset, Split
    from streamproc.evaluation.llm_rankers import LanguageModelRanker
    from streamproc.inference.bundle import Bundle

__all__ = ["AskAgain", "LanguageModelName", "LanguageModelUrl", "answer_cache", "missing_rivals", "rivals"]

LanguageModelUrl = Annotated[
    str | None,
    typer.Option(
        "--llm",
        help="Also measure the prompts TagGPT, ICXML and LLM4TC with a language model: the base URL of any "
        f"OpenAI-compatible endpoint. Its key stands in {KEY_VARIABLE}.",
    ),
]
LanguageModelName = Annotated[
    str | None, typer.Option("--llm-model", help="The model's name at that endpoint.")
]
AskAgain = Annotated[
    bool, typer.Option("--ask-again", help="Ask anew what was refused or unreadable in an earlier run.")
]


def answer_cache() -> Path:
    """The file where answers of language models are kept, whoever asked."""
    return load_settings().cache_dir / "answers.sqlite"


def rivals(
    url: str | None,
    model: str | None,
    dataset: "Dataset",
    split: "Split",
    bundle: "Bundle",
    *,
    ask_again: bool,
) -> "tuple[LanguageModelRanker, ...]":
    """The paper's language-model baselines, where an endpoint is given; on a terminal, only if somebody agrees.

    Raises:
        UserError: only one of URL and model is given, or neither although answers are to be asked for again, or they
            cannot be used.
    """
    from streamproc.evaluation.llm_rankers import Asking, language_model_rankers  # noqa: PLC0415 - a quick --help
    from streamproc.llm.asking import Manner  # noqa: PLC0415
    from streamproc.llm.tokens import token_counter  # noqa: PLC0415

    if url is None and model is None:
        if ask_again:
            raise UserError("--ask-again is about a language model: name one with --llm and --llm-model")
        return ()
    if url is None or model is None:
        raise UserError("--llm and --llm-model go together: give both or neither")
    asking = Asking(
        Endpoint.of(url, model),
        answer_cache(),
        Manner(ask_again=ask_again),
        token_counter(bundle.file(bundle.manifest.encoder.tokenizer)),
        say,
        loading_progress,
    )
    found = language_model_rankers(dataset, asking)
    notes = sum(bool(each.gold) for each in dataset.split(split))
    if sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm(
            f"{len(found) * notes:,} questions to {model}, known answers included: go on?",
            abort=True,
            err=True,
        )
    return found


def missing_rivals(found: "Sequence[LanguageModelRanker]") -> dict[str, str]:
    """What the report names as untested, and why: all three where no endpoint was given."""
    from streamproc.evaluation.llm_prompts import METHODS  # noqa: PLC0415 - a quick --help

    return {} if found else {method.name: "they need a language model (--llm)" for method in METHODS}
