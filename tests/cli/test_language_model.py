"""``streamproc eval --llm`` against a real endpoint that is no real model."""

import json
import os
import subprocess
import sys

import pytest

from tests.cli.small_dataset import dataset
from tests.evaluation.chooser import chooses
from tests.servers.llm import language_model, refuses, says

__all__ = ["dataset", "language_model"]


@pytest.fixture
def evaluate(dataset, tmp_path):
    def run(*options, **environment):
        return subprocess.run(
            [
                *(sys.executable, "-c", "from streamproc.cli import main; main()", "eval", str(dataset)),
                *("--split", "valid", "--no-baselines", "--report", str(tmp_path / "report.json"), *options),
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=250,
            env={**os.environ, "STREAMPROC_CACHE_DIR": str(tmp_path / "cache"), **environment},
            check=False,
        )

    return run


def test_the_papers_baselines_stand_in_the_report(evaluate, language_model, tmp_path):
    language_model.act = says(chooses)
    result = evaluate("--llm", language_model.url, "--llm-model", "tiny")
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["untested"] == {}
    rows = {row["method"]: row for row in report["ranking"]}
    for method in ("TagGPT (tiny)", "ICXML (tiny)", "LLM4TC (tiny)"):
        assert rows[method]["precision_1"] == 1.0
        assert f"{method}: 1 questions" in result.stderr


def test_without_an_endpoint_the_report_says_that_they_are_untested(evaluate, tmp_path):
    page = tmp_path / "report.html"
    result = evaluate("--html", str(page))
    assert result.returncode == 0, result.stderr
    assert "TagGPT, ICXML, LLM4TC: untested" in result.stdout
    untested = json.loads((tmp_path / "report.json").read_text())["untested"]
    assert untested == dict.fromkeys(("TagGPT", "ICXML", "LLM4TC"), "they need a language model (--llm)")
    assert "Untested, for they need a language model (--llm): TagGPT, ICXML, LLM4TC." in page.read_text()


def test_a_second_evaluation_asks_nothing(evaluate, language_model):
    language_model.act = says(chooses)
    for _ in range(2):
        assert evaluate("--llm", language_model.url, "--llm-model", "tiny").returncode == 0
    assert len(language_model.asked) == 3


def test_what_was_refused_is_asked_again_where_that_is_wanted(evaluate, language_model, tmp_path):
    model = ("--llm", language_model.url, "--llm-model", "tiny")
    language_model.act = refuses("No.")
    assert evaluate(*model).returncode == 0
    untested = json.loads((tmp_path / "report.json").read_text())["untested"]
    assert set(untested) == {"TagGPT (tiny)", "ICXML (tiny)", "LLM4TC (tiny)"}
    language_model.act = says(chooses)
    assert evaluate(*model, "--ask-again").returncode == 0
    assert json.loads((tmp_path / "report.json").read_text())["untested"] == {}


def test_asking_again_needs_somebody_to_ask(evaluate):
    result = evaluate("--ask-again")
    assert result.returncode == 2
    assert "name one with --llm" in result.stderr


def test_a_wrong_key_is_one_sentence(evaluate, language_model, tmp_path):
    language_model.key = "right"
    result = evaluate("--llm", language_model.url, "--llm-model", "tiny", STREAMPROC_LLM_KEY="wrong")
    assert result.returncode == 2
    assert "rejects the key of STREAMPROC_LLM_KEY" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize("options", [("--llm", "http://127.0.0.1:1/v1"), ("--llm-model", "tiny")])
def test_url_and_model_go_together(evaluate, options):
    result = evaluate(*options)
    assert result.returncode == 2
    assert "--llm and --llm-model go together" in result.stderr
