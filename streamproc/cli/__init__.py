"""The command line: one thin module a command group. Data goes to stdout, logs and progress to stderr."""

import errno
import sys

import typer

import streamproc
from streamproc.cli import calibrate, dataset, dead, export, graph, load, models, publish, topics, train
from streamproc.cli.demo import demo
from streamproc.cli.distill import distill
from streamproc.cli.doctor import doctor
from streamproc.cli.evaluate import evaluate
from streamproc.cli.tag import tag
from streamproc.cli.worker import worker
from streamproc.errors import StreamprocError, UserError

__all__ = ["app", "main"]

app = typer.Typer(
    name="streamproc",
    help="Tags content in real time: notes in, tags with confidences you can rely on out. "
    "Start with: streamproc demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(streamproc.__version__)
        raise typer.Exit


@app.callback()
def root(
    *,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Tags content in real time: notes in, tags with confidences you can rely on out."""


app.command()(demo)
app.command()(tag)
app.command()(worker)
app.add_typer(topics.app, name="topics")
app.add_typer(load.app, name="import")
app.add_typer(publish.app, name="publish")
app.add_typer(dead.app, name="dead")
app.add_typer(graph.app, name="graph")
app.add_typer(models.app, name="models")
app.command("eval")(evaluate)
app.add_typer(dataset.app, name="dataset")
app.add_typer(train.app, name="train")
app.command()(distill)
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(export.app, name="export")
app.command()(doctor)


def main() -> None:
    """Run the command line. A user's mistake is one sentence and exit status 2, never a traceback."""
    try:
        app()
    except UserError as error:
        _fail(error, 2)
    except StreamprocError as error:
        _fail(error, 1)
    except BrokenPipeError:  # the reader of our output is gone: nothing is wrong
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if not _is_of_a_file(error):
            raise
        _fail(f"{error.filename}: {error.strerror}" if error.filename else error.strerror, 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as ended:
        # Typer ends with 1 when the reader of our output goes away (head has seen enough): nothing is wrong.
        sys.exit(0 if isinstance(ended.__context__, BrokenPipeError) else ended.code)


def _is_of_a_file(error: OSError) -> bool:
    """Whether a file or a disk is what is wrong; anything else is a defect of ours, and its traceback tells which."""
    return error.filename is not None or error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _fail(error: StreamprocError | str | None, status: int) -> None:
    typer.echo(f"error: {error}", err=True)
    sys.exit(status)
