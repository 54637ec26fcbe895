"""The command line as a process: a user's mistake is one sentence and exit status 2, never a traceback."""

import os
import subprocess
import sys

import pytest


def streamproc(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from streamproc.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )


def assert_sentence(result, *words):
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAMPROC_BATCH_SIZE", "many"),
        ("STREAMPROC_MIN_CONFIDENCE", "1.5"),
        ("STREAMPROC_INFERENCE", "abacus"),
        ("STREAMPROC_WRITE_BACK", "maybe"),
        ("STREAMPROC_WEB_PORT", "99999"),
        ("STREAMPROC_TOPIC_PREFIX", "a b"),
        ("STREAMPROC_KINDS", "{broken"),
        ("STREAMPROC_KINDS", '{"topic": {"max_tags": -1}}'),
    ],
)
def test_a_wrong_setting_names_its_variable(variable, value):
    assert_sentence(streamproc("tag", "-", **{variable: value}), variable)


def test_a_broken_settings_file_is_named(tmp_path):
    (tmp_path / "streamproc.toml").write_text("batch_size = \n")
    assert_sentence(streamproc("tag", "-", cwd=tmp_path), "streamproc.toml")


def test_a_setting_in_the_file_is_named_like_the_variable(tmp_path):
    (tmp_path / "streamproc.toml").write_text('batch_size = "many"\n')
    assert_sentence(streamproc("tag", "-", cwd=tmp_path), "STREAMPROC_BATCH_SIZE")


def test_a_missing_file_is_named():
    assert_sentence(streamproc("tag", "/nowhere/notes.jsonl"), "/nowhere/notes.jsonl")


def test_a_broken_bundle_is_named(tmp_path):
    assert_sentence(streamproc("tag", "-", STREAMPROC_BUNDLE=str(tmp_path)), str(tmp_path))


@pytest.mark.parametrize(
    "arguments", [("no-such-command",), ("tag",), ("tag", "-", "--no-such-option"), ("dead", "x")]
)
def test_an_unknown_command_or_option_is_a_sentence(arguments):
    assert_sentence(streamproc(*arguments), "Error")


def test_an_option_that_contradicts_the_limits_is_a_sentence():
    assert_sentence(streamproc("tag", "-", "--min-confidence", "7"), "MIN_CONFIDENCE")


def test_help_names_every_command():
    told = streamproc("--help").stdout
    for command in (
        "demo",
        "tag",
        "worker",
        "topics",
        "import",
        "publish",
        "dead",
        "eval",
        "doctor",
        "graph",
    ):
        assert command in told
