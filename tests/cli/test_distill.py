"""``streamproc distill`` against a real endpoint that is no real model."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from streamproc.training.teacher_labels import TeacherLabels, read_taught_notes
from tests.cli.small_dataset import NOTES, dataset
from tests.servers.llm import fails, hangs, language_model, refuses, says

__all__ = ["dataset", "language_model"]


def teaches(asked):
    """Probability .9 for tags whose words stand in the note, .1 for others."""
    note = re.search(r"# Note\n(.*)", asked.user)[1]
    listed = re.findall(r"^(\d+)\. ([^:\n]+)", asked.user.split("# Candidate tags\n")[1], re.MULTILINE)
    judged = [
        {"tag": int(number), "why": "words", "probability": 0.9 if name in note else 0.1}
        for number, name in listed
    ]
    return json.dumps({"reasoning": "Words.", "candidates": judged, "missing": ["bunks"]})


@pytest.fixture
def teacher(language_model):
    language_model.act = says(teaches)
    return language_model


MAIN = """
import signal
# As in a terminal: what a shell starts in the background ignores the signal, and so would its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
from streamproc.cli import main
main()
"""


class Command:
    """The command as a process, with a cache and a home of its own."""

    def __init__(self, dataset, url, directory):
        self.output = directory / "labels.jsonl"
        self.arguments = [
            *(sys.executable, "-c", MAIN, "distill", str(dataset)),
            *("-o", str(self.output), "--url", url, "--model", "tiny"),
        ]
        self.environment = {**os.environ, "STREAMPROC_CACHE_DIR": str(directory / "cache")}

    def __call__(self, *options, **environment):
        return subprocess.run(
            [*self.arguments, *options],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=250,
            env=self.environment | environment,
            check=False,
        )

    def start(self, *options, **pipes):
        return subprocess.Popen(
            [*self.arguments, *options],
            text=True,
            env=self.environment,
            **pipes,
        )


@pytest.fixture
def distill(dataset, teacher, tmp_path):
    return Command(dataset, teacher.url, tmp_path)


def assert_sentence(result, *words):
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_every_note_gets_soft_labels(distill, teacher):
    result = distill()
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    labels = TeacherLabels.read(distill.output)
    assert len(labels) == NOTES
    assert labels.of("t0") == {"night trains": 0.9, "tea": 0.1}
    assert labels.of("t1") == {"night trains": 0.1, "tea": 0.9}
    assert labels.teachers == ("tiny",)
    assert read_taught_notes(distill.output)[0].missing == ("bunks",)
    assert f"{NOTES} notes labelled by tiny" in result.stderr
    assert "600 tokens in and 120 out" in result.stderr
    assert (
        "people gave these notes have a probability of 0.90 on average, other candidates 0.10"
        in result.stderr
    )
    assert all("t0" not in asked.user for asked in teacher.asked)


def test_the_handbook_of_the_category_is_in_the_prompt(distill, teacher, tmp_path):
    knowledge = tmp_path / "knowledge.jsonl"
    rows = [
        {"id": "k1", "kind": "handbook", "text": "Readers compare berths.", "category": "travel"},
        {"id": "k2", "kind": "handbook", "text": "Readers count calories.", "category": "food"},
        {"id": "k3", "kind": "definition", "text": "Tea is a leaf.", "tag_ids": ["tea"]},
    ]
    knowledge.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert distill("--knowledge", str(knowledge), "--notes", "1").returncode == 0
    (asked,) = teacher.asked
    assert "Readers compare berths." in asked.user
    assert "Tea is a leaf." in asked.user
    assert "calories" not in asked.user


@pytest.mark.parametrize("options", [(), ("--images",)])
def test_images_are_shown_only_where_that_is_wanted(distill, teacher, options):
    assert distill("--notes", "1", *options).returncode == 0
    content = teacher.asked[0].body["messages"][1]["content"]
    shown = [] if isinstance(content, str) else [part["type"] for part in content]
    assert shown == (["text", "image_url"] if options else [])


def test_a_dry_run_shows_what_it_would_cost_and_asks_nothing(distill, teacher):
    result = distill("--dry-run", "--price-in", "100000", "--price-out", "0")
    assert result.returncode == 0
    assert teacher.asked == []
    assert not distill.output.exists()
    found = re.search(
        r"6 questions to tiny: about ([\d,]+) tokens in, [\d,]+ out \(a guess\); ([\d,.]+) at", result.stderr
    )
    tokens, amount = (float(each.replace(",", "")) for each in found.groups())
    assert 6 * 400 < tokens < 6 * 2000
    assert amount == pytest.approx(tokens / 10, abs=0.01)


def test_a_second_run_asks_and_pays_nothing(distill, teacher):
    distill()
    before = distill.output.read_bytes()
    distill.output.unlink()
    result = distill()
    assert "all 6 answers are known from earlier runs: nothing to pay" in result.stderr
    assert len(teacher.asked) == NOTES
    assert distill.output.read_bytes() == before


def test_refused_notes_are_left_out_and_counted(distill, teacher):
    teacher.next_acts += [refuses("No."), refuses("No.")]
    result = distill("--concurrency", "1")
    assert result.returncode == 0
    assert "5 notes labelled by tiny, 1 refused" in result.stderr
    assert len(read_taught_notes(distill.output)) == 5
    again = distill("--ask-again")
    assert "6 notes labelled by tiny;" in again.stderr


def test_a_teacher_that_labels_nothing_leaves_no_file(distill, teacher):
    teacher.act = refuses("No.")
    assert_sentence(distill("--notes", "4"), "tiny labelled none of the notes, 4 refused")
    assert not distill.output.exists()


def test_a_teacher_that_answers_nothing_usable_is_not_asked_to_the_end(distill, teacher):
    teacher.act = refuses("No.")
    assert_sentence(distill("--concurrency", "1"), "the model declines: No.", "5 questions in a row")
    assert len(teacher.asked) == 10  # each once more, after an explanation


def test_a_wrong_key_is_one_sentence(distill, teacher):
    teacher.key = "right"
    assert_sentence(distill(STREAMPROC_LLM_KEY="wrong"), "rejects the key of STREAMPROC_LLM_KEY")
    assert distill("--key-variable", "OTHER_KEY", OTHER_KEY="right").returncode == 0


def wait_until_asked(teacher, questions, process):
    """What was not asked by then would be asked of the run that follows, which would hang in its place."""
    deadline = time.monotonic() + 200
    while len(teacher.asked) < questions:
        assert process.poll() is None, f"ended with {process.returncode} after {len(teacher.asked)} questions"
        assert time.monotonic() < deadline, f"only {len(teacher.asked)} questions were asked"
        time.sleep(0.02)


def test_a_run_that_is_stopped_by_hand_goes_on_from_there(distill, teacher):
    teacher.next_acts += [says(teaches)] * 2 + [hangs()]
    process = distill.start("--concurrency", "1", stderr=subprocess.PIPE)
    wait_until_asked(teacher, 3, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=250)
    assert process.returncode == 130
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert not distill.output.exists()
    result = distill()
    assert "4 questions to tiny (2 are known from earlier runs)" in result.stderr
    assert len(teacher.asked) == 3 + 4
    assert len(read_taught_notes(distill.output)) == NOTES


def test_a_run_that_is_killed_goes_on_from_there(distill, teacher):
    teacher.next_acts += [says(teaches)] * 2 + [hangs()]
    process = distill.start("--concurrency", "1", stderr=subprocess.DEVNULL)
    wait_until_asked(teacher, 3, process)
    process.kill()
    process.wait(250)
    assert distill().returncode == 0
    assert len(teacher.asked) == 3 + 4


def test_an_address_where_nobody_listens_is_named(distill):
    result = distill("--url", "http://127.0.0.1:1/v1")
    assert result.returncode == 1
    assert "http://127.0.0.1:1/v1/chat/completions cannot be reached" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_was_sent_again_is_told(distill, teacher):
    teacher.next_acts += [fails(503, "loading the model")]
    result = distill()
    assert result.returncode == 0
    assert re.search(r"answers 503: loading the model; again in \d\.\d s", result.stderr)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--url", "tiny.example"), "is no base URL"),
        (("--local", "/nowhere"), "--url, --model and --local do not go together"),
        (("--split", "all"), "use train, valid or test"),
        (("--price-in", "1"), "go together"),
        (("--knowledge", "/nowhere.jsonl"), "/nowhere.jsonl"),
        (("--cache", "/dev/null/answers"), "/dev/null/answers"),
    ],
)
def test_a_wrong_option_is_one_sentence(distill, teacher, options, said):
    assert_sentence(distill(*options), said)
    assert teacher.asked == []


@pytest.mark.parametrize(("answer", "status", "asked"), [("n\n", 1, 0), ("y\n", 0, NOTES)])
def test_on_a_terminal_nothing_is_asked_before_somebody_agrees(distill, teacher, answer, status, asked):
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    process = distill.start(stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:
            break
        if not chunk:
            break
        said += chunk
    os.close(ours)
    assert process.wait(250) == status, said
    assert b"Ask tiny now?" in said
    assert len(teacher.asked) == asked
