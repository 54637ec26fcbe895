"""What the benchmark of one note measures is what it says: full windows, 24 defined candidates, this process's memory."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.one_note import CANDIDATES, Memory, filled_notes, main, tagged
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.text import note_text
from streamproc.inference.tokenization import WindowTokenizer
from tests.pipeline.conftest import bundle, models, sample_cache, sample_graph  # noqa: F401 - fixtures

SHIPPED = Bundle.load(default_bundle_path())


def test_every_note_fills_the_windows_of_the_encoder_and_hardly_more():
    spec = SHIPPED.manifest.encoder
    tokenizer = WindowTokenizer(
        SHIPPED.file(spec.tokenizer), window_tokens=spec.window_tokens, max_windows=spec.max_windows
    )
    notes = filled_notes(3, SHIPPED)
    assert len({note.text for note in notes}) == 3
    for note in notes:
        read = tokenizer.tokenize(note_text(note))
        assert read.truncated
        assert [ids.size for ids in read.windows] == [spec.window_tokens] * spec.max_windows
        assert not tokenizer.tokenize(note.text[: -len(note.text) // 4]).truncated


async def test_the_tagger_is_asked_about_24_tags_that_have_definitions(models, sample_graph):  # noqa: F811
    thresholds = replace(Thresholds.of(SHIPPED.manifest.recall), candidates=CANDIDATES)
    [note] = filled_notes(1, SHIPPED)
    seconds, request = await tagged(note, models, sample_graph, thresholds)
    assert request.note_text == note_text(note)
    assert len(request.candidates) == len(request.evidence) == CANDIDATES
    assert all(each.definition for each in request.candidates)
    stages = (seconds.encoder, seconds.search, seconds.recall, seconds.tagger_and_calibrator)
    assert min(stages) > 0
    assert seconds.whole == pytest.approx(sum(stages))


def test_memory_is_what_this_process_holds_and_has_held():
    before = Memory.now()
    held = np.ones(100_000_000, dtype=np.uint8)
    during = Memory.now()
    assert during.resident - before.resident == pytest.approx(held.nbytes / 1e6, abs=20)
    del held
    after = Memory.now()
    assert after.resident < during.resident - 80
    # Linux counts the two by threads, in batches: they may differ by some hundred kilobytes.
    assert after.highest >= during.resident - 20


def test_the_command_prints_latencies_and_memory_as_tables(capsys):
    main(["--notes", "2"])
    said = capsys.readouterr().out
    assert "general-" in said
    for row in ("encoder", "recall", "**tagger and calibrator**", "bundle loaded", "bundle loaded and used"):
        assert f"\n| {row} | " in said
