"""Every benchmark tells how it is used; what is missing or wrong is a sentence, never a traceback."""

import runpy
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.command import needing, parser_of, run
from streamproc.errors import UserError

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted(
    file.stem
    for file in (ROOT / "benchmarks").glob("*.py")
    if '\nif __name__ == "__main__":' in file.read_text() and file.stem != "__main__"
)
OF_NOTHING = {"one_note", "pass_through", "pipeline", "recall_cost", "triton"}
"""Benchmarks that need no argument."""


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


@pytest.fixture
def benchmark(monkeypatch, capsys):
    """Runs ``python -m benchmarks.NAME …`` in this process: a program each would take its time to load."""

    def run_it(name, *arguments):
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # one of them sets it, for good
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"), run_name="__main__")
        return Said(ended.value.code or 0, *capsys.readouterr())

    return run_it


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_tells_how_it_is_used(benchmark, name):
    done = benchmark(name, "--help")
    assert done.status == 0, done.err
    assert done.out.startswith("usage: ")
    assert name in done.out.splitlines()[0]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_missing_or_unknown_argument_is_a_sentence_with_exit_status_2(benchmark, name):
    done = benchmark(name, *(["--nonsense"] if name in OF_NOTHING else []))
    assert done.status == 2
    said = done.err.splitlines()[-1]
    assert "error: " in said
    assert ("--nonsense" if name in OF_NOTHING else "the following arguments are required: ") in said


def test_help_on_all_of_them_runs_none(benchmark):
    done = benchmark("__main__", "--help")
    assert done.status == 0
    assert done.out.startswith("usage: python -m benchmarks [-h]")
    assert "one_note" in done.out
    assert "==" not in done.out


def test_a_dataset_that_is_not_there_is_a_sentence_with_exit_status_2(benchmark, tmp_path):
    done = benchmark("recall_quality", str(tmp_path), "valid", "nowhere")
    assert done.status == 2
    assert "nowhere" in done.err.splitlines()[-1]


def test_a_user_s_mistake_ends_a_benchmark_with_status_2(capsys):
    def mistaken():
        raise UserError("no such bundle")

    with pytest.raises(SystemExit) as ended:
        run(mistaken)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: no such bundle\n"


def test_a_missing_extra_is_named_with_its_remedy():
    with (
        pytest.raises(UserError, match=r"\(torch_of_another_world\): pip install '\.\[train\]'"),
        needing("train"),
    ):
        import torch_of_another_world  # noqa: F401


def test_help_shows_the_docstring_as_it_was_written():
    assert "first\n\n    python -m x\n" in parser_of("first\n\n    python -m x\n").format_help()
