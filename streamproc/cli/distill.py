"""``streamproc distill``: soft labels from a language model behind any OpenAI-compatible endpoint, or from a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.bundles import BundleOption, open_base, prepare_datasets
from streamproc.cli.endpoint_teacher import EndpointTeacher, label_with_endpoint
from streamproc.cli.language_model import AskAgain, answer_cache
from streamproc.cli.local_teacher import label_with_bundle
from streamproc.cli.teacher_labels import write_labels
from streamproc.errors import UserError
from streamproc.llm.endpoint import KEY_VARIABLE, Endpoint

__all__ = ["distill"]

_CANDIDATES = 24
_OF_ANY_TEACHER = {"dataset", "output", "local", "split", "notes", "seed", "candidates"}

PerMinute = Annotated[
    int | None, typer.Option(min=1, help="What the endpoint allows; any number unless given.")
]
Price = Annotated[float | None, typer.Option(min=0, help="Of a million tokens, to show what it will cost.")]


def distill(  # noqa: PLR0917 - the options of a command line
    context: typer.Context,
    dataset: Annotated[
        Path, typer.Argument(help="Directory with train.jsonl, valid.jsonl, test.jsonl and tags.jsonl.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The teacher's labels, as JSON Lines.")],
    url: Annotated[
        str | None, typer.Option(help="Base URL of the endpoint, such as https://HOST/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The teacher: the model's name at the endpoint.")] = None,
    local: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="In place of an endpoint: a bundle whose tagger reads the text (train tagger --read-text) or whose encoder "
            "is a larger one (train encoder --base). It gives probabilities without reasons, costs nothing and sends nothing, and labels only notes that it "
            "was not trained on: train it with --hold-out. An interrupted run begins anew; a core labels "
            "thousands of notes in some minutes.",
            file_okay=False,
        ),
    ] = None,
    knowledge: Annotated[
        Path | None, typer.Option(help="Handbook, rules and definitions (JSON Lines) that guide the teacher.")
    ] = None,
    bundle: BundleOption = None,
    split: Annotated[str, typer.Option(help="Whose notes are labelled: train, valid or test.")] = "train",
    notes: Annotated[
        int | None, typer.Option(min=1, help="Label so many notes, drawn at random; all unless given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 0,
    candidates: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=32,
            help="Tags that the teacher judges a note, at most; 24 unless given, all with --local.",
        ),
    ] = None,
    key_variable: Annotated[
        str, typer.Option(help="The environment variable that holds the endpoint's key.")
    ] = KEY_VARIABLE,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests under way at once.")] = 8,
    requests_per_minute: PerMinute = None,
    tokens_per_minute: PerMinute = None,
    deadline_seconds: Annotated[float, typer.Option(min=1, help="For one request.")] = 120.0,
    max_answer_tokens: Annotated[
        int, typer.Option(min=64, help="How long an answer may be; models that think need more.")
    ] = 4096,
    price_in: Price = None,
    price_out: Price = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where answers are kept; in the cache of the settings unless given.")
    ] = None,
    *,
    images: Annotated[bool, typer.Option("--images", help="Show the notes' images, too.")] = False,
    ask_again: AskAgain = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would cost, and ask nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether to go on.")] = False,
) -> None:
    """Ask a language model which candidate tags are right for each note, and why; or a larger tagger that runs here.

    The probabilities are soft labels for training. A language model's answers are kept as they come: an
    interrupted run, started again, goes on where it stopped, and nothing is paid for twice.

    Example: streamproc distill data/news -o teacher.jsonl --local bundles/reader
    """
    from streamproc.evaluation.dataset import Split  # noqa: PLC0415 - a quick --help
    from streamproc.graph.thresholds import Thresholds  # noqa: PLC0415 - a quick --help
    from streamproc.llm.asking import Manner  # noqa: PLC0415 - a quick --help
    from streamproc.llm.bill import Prices  # noqa: PLC0415 - a quick --help
    from streamproc.llm.tokens import token_counter  # noqa: PLC0415 - a quick --help
    from streamproc.training.distill import lessons  # noqa: PLC0415 - a quick --help
    from streamproc.training.handbook import Handbook  # noqa: PLC0415 - a quick --help

    if split not in {each.value for each in Split}:
        raise UserError(f"--split is {split!r}: use train, valid or test")
    if local is not None:
        _refuse_options_of_endpoints(context)
        label_with_bundle(local, dataset, Split(split), output, most=notes, candidates=candidates, seed=seed)
        return
    if url is None or model is None:
        raise UserError("name a teacher: --url and --model of an endpoint, or --local BUNDLE")
    if (price_in is None) != (price_out is None):
        raise UserError("--price-in and --price-out go together: give both or neither")
    prices = None if price_in is None or price_out is None else Prices(price_in, price_out)
    endpoint = Endpoint.of(url, model, key_variable)
    handbook = Handbook() if knowledge is None else Handbook.read(knowledge)
    loaded = open_base(bundle)
    (prepared,) = prepare_datasets([dataset], loaded)
    found = lessons(
        prepared,
        Thresholds.of(loaded.manifest.recall),
        handbook,
        split=Split(split),
        most=notes,
        candidates=candidates or _CANDIDATES,
        seed=seed,
    )
    if not found.lessons:
        raise UserError(f"no note of {dataset}/{split}.jsonl has a candidate tag: there is nothing to ask")
    manner = Manner(
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        deadline_seconds=deadline_seconds,
        ask_again=ask_again,
    )
    labelled = label_with_endpoint(
        found,
        EndpointTeacher(endpoint, cache or answer_cache(), manner, images, max_answer_tokens),
        token_counter(loaded.file(loaded.manifest.encoder.tokenizer)),
        prices,
        dry_run=dry_run,
        confirm=not yes,
    )
    if labelled is not None:
        taught, used = labelled
        write_labels(output, taught, prepared.dataset.split(Split(split)), model, used)


def _refuse_options_of_endpoints(context: typer.Context) -> None:
    """Refuse what a local teacher would not heed."""
    sources = {
        name: context.get_parameter_source(name) for name in context.params if name not in _OF_ANY_TEACHER
    }
    given = [
        f"--{name.replace('_', '-')}"
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    ]
    if given:
        raise UserError(
            f"{', '.join(given)} and --local do not go together: a local teacher asks no endpoint, and recalls "
            "with its own bundle"
        )
