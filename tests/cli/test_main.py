"""The command line as a process: a user's mistake is one sentence and exit status 2, never a traceback."""

import os
import signal
import subprocess
import sys
import time

import pytest

from streamproc.pipeline.local import sample_file


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
        ("STREAMPROC_CACHE_DIR", ""),
        ("STREAMPROC_KAFKA_BOOTSTRAP", "127.0.0.1:notaport"),
        ("STREAMPROC_KAFKA_BOOTSTRAP", ":::"),
        ("STREAMPROC_TRITON_URL", "http://triton:8001"),
        ("STREAMPROC_TRITON_URL", "one:8001,two:8001"),
        ("STREAMPROC_MILVUS_URI", "http://"),
        ("STREAMPROC_REVIEW_CONFIDENCE", "0.9"),
        ("STREAMPROC_BUNDLE", ""),
        ("STREAMPROC_KINDS", '{"topic": {"max_tags": -1}}'),
    ],
)
def test_a_wrong_setting_names_its_variable(variable, value):
    assert_sentence(streamproc("tag", "-", **{variable: value}), variable)


def test_what_is_wrong_with_a_setting_is_said_as_it_is_written():
    kinds = '{"Topic": {"max_tags": -1}}'
    assert_sentence(streamproc("tag", "-", STREAMPROC_KINDS=kinds), "STREAMPROC_KINDS (Topic.max_tags) = -1")
    assert_sentence(streamproc("tag", "-", STREAMPROC_TOPIC_PREFIX="a/b"), "^[A-Za-z0-9._-]*$")


def test_ranking_all_candidates_needs_no_other_setting_to_change(tmp_path):
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "Tea"}\n')
    cache = {"STREAMPROC_CACHE_DIR": str(tmp_path / "cache"), "STREAMPROC_REVIEW_CONFIDENCE": "0.3"}
    assert streamproc("tag", "notes.jsonl", "--min-confidence", "0", cwd=tmp_path, **cache).returncode == 0


def test_a_broken_settings_file_is_named(tmp_path):
    (tmp_path / "streamproc.toml").write_text("batch_size = \n")
    assert_sentence(streamproc("tag", "-", cwd=tmp_path), "streamproc.toml")


def test_a_setting_in_the_file_is_named_like_the_variable(tmp_path):
    (tmp_path / "streamproc.toml").write_text('batch_size = "many"\n')
    assert_sentence(streamproc("tag", "-", cwd=tmp_path), "STREAMPROC_BATCH_SIZE")


def test_a_name_in_the_file_that_is_no_setting_is_refused(tmp_path):
    (tmp_path / "streamproc.toml").write_text("batch_sise = 8\n")
    said = streamproc("tag", "-", cwd=tmp_path)
    assert_sentence(said, "streamproc.toml sets batch_sise, which is no setting; STREAMPROC_BATCH_SIZE is")
    (tmp_path / "streamproc.toml").write_text('[kafka]\nbootstrap = "kafka:9092"\n')
    assert_sentence(streamproc("tag", "-", cwd=tmp_path), "streamproc.toml sets kafka, which is no setting.")


def test_a_misspelt_variable_is_named_with_what_was_meant():
    said = streamproc("tag", "-", STREAMPROC_MIN_CONFIDENC="0.9")
    assert_sentence(said, "STREAMPROC_MIN_CONFIDENC is no setting; STREAMPROC_MIN_CONFIDENCE is")


def test_variables_of_others_are_left_alone(tmp_path):
    result = streamproc(
        *("tag", "/nowhere/notes.jsonl"),
        STREAMPROC_SERVICE_HOST="10.0.0.1",
        STREAMPROC_PORT="tcp://10.0.0.1:6066",
        STREAMPROC_PORT_6066_TCP_PORT="6066",
        STREAMPROC_LLM_KEY="secret",
    )
    assert_sentence(result, "/nowhere/notes.jsonl cannot be read")


def test_a_missing_file_is_named():
    assert_sentence(streamproc("tag", "/nowhere/notes.jsonl"), "/nowhere/notes.jsonl")


def test_a_broken_bundle_is_named(tmp_path):
    assert_sentence(streamproc("tag", "-", STREAMPROC_BUNDLE=str(tmp_path)), str(tmp_path))


def test_a_cache_that_cannot_be_written_is_named_with_its_setting(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "Tea"}\n')
    for command in (("tag", "notes.jsonl"), ("demo", "--once")):
        said = streamproc(*command, cwd=tmp_path, STREAMPROC_CACHE_DIR=str(tmp_path / "file"))
        assert_sentence(said, "STREAMPROC_CACHE_DIR", "Not a directory")


def test_a_full_disk_is_a_sentence(tmp_path):
    (tmp_path / "tags.jsonl").write_text('{"tag": "Tea"}\n')
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "Tea"}\n')
    command = ("tag", "notes.jsonl", "--tags", "tags.jsonl", "-o", "/dev/full")
    result = streamproc(*command, cwd=tmp_path, STREAMPROC_CACHE_DIR=str(tmp_path / "cache"))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "error: No space left on device"
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_a_wait_for_standard_input(tmp_path):
    (tmp_path / "tags.jsonl").write_text('{"tag": "Tea"}\n')
    environment = {**os.environ, "STREAMPROC_CACHE_DIR": str(tmp_path / "cache")}
    with subprocess.Popen(
        [sys.executable, "-m", "streamproc", "tag", "-", "--tags", str(tmp_path / "tags.jsonl")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr.readline().startswith("confidences are the bundle's")
        for _ in range(600):  # until it waits: a graph is there when the first line is asked for
            if any((tmp_path / "cache").rglob("done")):
                break
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(30) == 130
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize("command", [("demo", "--once"), ("tag", str(sample_file("notes.jsonl")))])
def test_a_reader_that_goes_away_ends_the_command_without_a_word(tmp_path, command):
    tags = str(sample_file("tags.jsonl"))
    with subprocess.Popen(
        [sys.executable, "-m", "streamproc", *command, "--tags", tags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "STREAMPROC_CACHE_DIR": str(tmp_path / "cache")},
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 0, said
    assert "Traceback" not in said
    assert "Error" not in said


@pytest.mark.parametrize(("stream", "arguments"), [(0, ("tag", "-")), (1, ("tag", "{notes}"))])
def test_a_standard_stream_that_is_closed_is_a_sentence(tmp_path, stream, arguments):
    notes = str(sample_file("notes.jsonl"))
    result = subprocess.run(
        ["bash", "-c", f'exec "$@" {stream}>&-', "-", sys.executable, "-m", "streamproc"]
        + [each.format(notes=notes) for each in arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "STREAMPROC_CACHE_DIR": str(tmp_path)},
        check=False,
    )
    assert_sentence(result, f"standard {('input', 'output')[stream]} is closed")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.5, 2.0, 2.5, 3.0, 4.0])
def test_ctrl_c_while_everything_starts_ends_it_soon_and_quietly(tmp_path, seconds):
    with subprocess.Popen(
        [sys.executable, "-m", "streamproc", "demo", "--once"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "STREAMPROC_CACHE_DIR": str(tmp_path)},
    ) as process:
        time.sleep(seconds)  # wherever that falls
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(30) in {0, 130}
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_ctrl_c_while_the_program_loads_is_quiet():
    interrupted = (
        "import sys, builtins; real = builtins.__import__\n"
        "def stopped(name, *rest):\n"
        "    if name == 'streamproc.cli': raise KeyboardInterrupt\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = stopped\n"
        "from streamproc.__main__ import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "")


def test_the_module_is_the_program():
    told = subprocess.run(
        [sys.executable, "-m", "streamproc", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout == streamproc("--version").stdout


@pytest.mark.parametrize(
    "arguments", [("no-such-command",), ("tag",), ("tag", "-", "--no-such-option"), ("dead", "x")]
)
def test_an_unknown_command_or_option_is_a_sentence(arguments):
    assert_sentence(streamproc(*arguments), "Error")


def test_an_option_that_contradicts_the_limits_is_a_sentence():
    assert_sentence(streamproc("tag", "-", "--min-confidence", "7"), "--min-confidence")


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
