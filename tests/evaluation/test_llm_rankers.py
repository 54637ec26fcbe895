"""The paper's language-model baselines against a real endpoint that is no real model."""

import json
from contextlib import nullcontext
from dataclasses import replace
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from streamproc.cli.report_view import show_report
from streamproc.errors import SettingsError, UnreadableAnswerError
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.llm_prompts import ICXML, LLM4TC, METHODS, TAGGPT
from streamproc.evaluation.llm_rankers import Asking, language_model_rankers
from streamproc.evaluation.page import page
from streamproc.evaluation.prepared import prepare, recall_all
from streamproc.evaluation.protocol import Subject, evaluate
from streamproc.evaluation.samples import History
from streamproc.evaluation.vectors import VectorCache
from streamproc.events.files import tag_from_row
from streamproc.events.note import Note
from streamproc.graph.thresholds import FITTED
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.onnx import load_models
from streamproc.llm.asking import Manner
from streamproc.llm.endpoint import Endpoint
from streamproc.llm.wording import Sample
from tests.evaluation.chooser import chooses
from tests.evaluation.worlds import WordEncoder, write_dataset
from tests.servers.llm import language_model, refuses, says

__all__ = ["language_model"]

TEA, COFFEE = tag_from_row({"tag": "tea", "description": "a leaf"}), tag_from_row({"tag": "coffee"})
NOTE = Note(note_id="n", title="A pot of tea")


@pytest.fixture
def prepared(tmp_path):
    dataset = read_dataset(write_dataset(tmp_path / "drinks"))
    return prepare(dataset, VectorCache(WordEncoder(), "words", tmp_path / "vectors"))


@pytest.fixture
def said():
    return []


@pytest.fixture
def progress():
    return []


@pytest.fixture
def asking(language_model, tmp_path, said, progress):
    language_model.act = says(chooses)
    return Asking(
        Endpoint(language_model.url, "tiny"),
        tmp_path / "answers.sqlite",
        Manner(concurrency=1),
        count_tokens=lambda texts: [len(text.split()) for text in texts],
        say=said.append,
        progress=lambda: nullcontext(lambda *told: progress.append(told)),
    )


@pytest.fixture
def rankers(prepared, asking):
    return language_model_rankers(prepared.dataset, asking)


@pytest.fixture
def task(prepared):
    """The notes of valid and their candidates."""
    notes = prepared.dataset.valid
    hits = prepared.graph.nearest(
        prepared.vectors[Split.VALID], tags=FITTED.nearest_tags, notes=FITTED.nearest_notes
    )
    return notes, recall_all(notes, hits, prepared.repository, FITTED)


def measured(prepared, rankers):
    models = load_models(Bundle.load(default_bundle_path()), threads=1)
    return evaluate(
        prepared, Subject("b", models, FITTED), split=Split.VALID, trees=(), extra_rankers=rankers
    )


def varied(note, number):
    return msgspec.structs.replace(note, text=f"{note.text} {number}")


def test_every_method_gives_each_note_the_tags_that_the_model_chose(rankers, task):
    assert [ranker.name for ranker in rankers] == ["TagGPT (tiny)", "ICXML (tiny)", "LLM4TC (tiny)"]
    for ranker in rankers:
        assert ranker.rank(*task) == [["tea"], ["coffee"]]


def test_gold_tags_are_never_shown(rankers, task, language_model):
    notes, recalled = task
    rankers[0].rank(notes, recalled)
    for asked in language_model.asked:
        assert "gold" not in asked.user
        assert '"tags"' not in asked.user


def test_what_it_will_cost_is_told_before_the_first_question(rankers, task, language_model, said):
    rankers[0].rank(*task)
    assert said[0].startswith("TagGPT (tiny): 2 questions (0 more")
    rankers[0].rank(*task)
    assert said[1].startswith("TagGPT (tiny): 0 questions (2 more")
    assert len(language_model.asked) == 2


def test_progress_reaches_the_end(rankers, task, progress):
    rankers[0].rank(*task)
    assert progress == [("TagGPT (tiny)", done, 2) for done in range(3)]


def test_a_note_without_an_answer_is_told_from_one_without_a_tag_and_is_counted(
    rankers, task, language_model, said
):
    language_model.act = refuses("No.")
    assert rankers[0].rank(*task) == [None, None]
    assert said[-1] == "TagGPT (tiny): 2 of 2 notes unanswered; --ask-again asks them anew"


def test_a_model_whose_answers_are_never_of_use_is_left_out_and_the_others_are_asked(
    rankers, task, language_model, said
):
    notes, recalled = (each * 4 for each in task)
    notes = [replace(note, note=varied(note.note, number)) for number, note in enumerate(notes)]
    language_model.act = says("Yes.")
    assert rankers[0].rank(notes, recalled) == [None] * 8
    assert "5 questions in a row went that way" in said[-1]
    assert said[-1].endswith("; TagGPT (tiny) is left out")
    language_model.act = says(chooses)
    assert None not in rankers[1].rank(notes, recalled)


def test_the_report_says_how_many_notes_were_answered(prepared, rankers, language_model):
    language_model.next_acts += [refuses("No.")] * 2
    report = measured(prepared, rankers)
    assert [(each.method, each.asked, each.answered) for each in report.answers] == [
        ("TagGPT (tiny)", 2, 1),
        ("ICXML (tiny)", 2, 2),
        ("LLM4TC (tiny)", 2, 2),
    ]
    console = Console(file=StringIO(), width=200)
    show_report(report, console)
    assert "1 of 2" in console.file.getvalue()
    html = page(report)
    assert "<td>1 of 2</td>" in html
    assert "did not answer count as untagged" in html


def test_a_model_that_never_answered_is_untested_and_in_no_table(prepared, rankers, language_model):
    language_model.next_acts += [refuses("No.")] * 4
    report = measured(prepared, rankers)
    assert report.untested == {"TagGPT (tiny)": "their questions were not answered"}
    for rows in (report.ranking, report.emission, report.answers):
        assert "TagGPT (tiny)" not in {row.method for row in rows}


def test_unanswered_notes_are_asked_again_where_that_is_wanted(prepared, asking, task, language_model, said):
    language_model.next_acts += [refuses("No.")] * 4
    first, *_ = language_model_rankers(prepared.dataset, asking)
    assert first.rank(*task) == first.rank(*task) == [None, None]
    again = replace(asking, manner=replace(asking.manner, ask_again=True))
    first, *_ = language_model_rankers(prepared.dataset, again)
    assert first.rank(*task) == [["tea"], ["coffee"]]
    assert said[-1].startswith("TagGPT (tiny): 2 questions (0 more")


def test_a_wrong_key_stops_the_evaluation(rankers, task, language_model):
    language_model.key = "right"
    with pytest.raises(SettingsError, match="STREAMPROC_LLM_KEY"):
        rankers[0].rank(*task)


def test_they_stand_in_the_report_beside_the_others(prepared, rankers):
    report = measured(prepared, rankers)
    found = {row.method: row for row in report.ranking}
    assert all(found[ranker.name].precision_1 == 1.0 for ranker in rankers)


def test_samples_are_the_nearest_notes_of_the_history_that_speak_for_a_candidate(prepared, task):
    _, recalled = task
    first, *_ = History(prepared.dataset).samples(recalled[1])
    assert first.tags in {("coffee",), ("coffee", "rare")}
    assert len(History(prepared.dataset).samples(recalled[1], most=2)) == 2


def test_only_icxml_is_shown_samples():
    sample = Sample(Note(note_id="s", title="Leaves"), ("tea",))
    shown = {
        method.name: "Leaves" in method.question(NOTE, [TEA], [sample]).prompt.user for method in METHODS
    }
    assert shown == {"TagGPT": False, "ICXML": True, "LLM4TC": False}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_note_and_definitions_are_shown_to_all(method):
    user = method.question(NOTE, [TEA, COFFEE], ()).prompt.user
    assert "A pot of tea" in user
    assert "1. tea: a leaf\n2. coffee" in user
    assert "# Samples" not in user


@pytest.mark.parametrize(
    ("method", "answer", "tags"),
    [
        (TAGGPT, {"clues": "", "tags": [2, 2, 9, 1]}, ["coffee", "tea"]),
        (TAGGPT, {"clues": "", "tags": []}, []),
        (ICXML, {"generated": ["mate"], "ranking": [1]}, ["tea"]),
        (
            LLM4TC,
            {
                "decisions": [
                    {"tag": 1, "belongs": True, "certainty": 0.6},
                    {"tag": 2, "belongs": True, "certainty": 0.8},
                ]
            },
            ["coffee", "tea"],
        ),
        (LLM4TC, {"decisions": [{"tag": 1, "belongs": False, "certainty": 0.9}]}, []),
    ],
)
def test_an_answer_becomes_candidates_best_first(method, answer, tags):
    assert method.question(NOTE, [TEA, COFFEE], ()).read(json.dumps(answer)) == tags


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_an_answer_of_another_form_is_unreadable(method):
    with pytest.raises(UnreadableAnswerError):
        method.question(NOTE, [TEA], ()).read('{"answer": "tea"}')
