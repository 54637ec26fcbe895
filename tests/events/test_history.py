"""Labelled history as graph notes."""

from streamproc.events.graph import Origin, Provenance
from streamproc.events.history import file_position, imported_note
from streamproc.events.note import Note


def test_labels_become_edges_of_full_weight_once_each():
    note = Note(note_id="h1", title="t", tags=("Café", "Café", "money"))
    imported = imported_note(note, file_position("history.jsonl", 3), "hash")
    assert imported.origin is Origin.IMPORT
    assert [(tag.tag_id, tag.weight, tag.provenance) for tag in imported.tags] == [
        ("Café", 1.0, Provenance.IMPORT),
        ("money", 1.0, Provenance.IMPORT),
    ]
    assert (imported.vector, imported.encoder, str(imported.source)) == (
        "",
        "hash",
        "import:history.jsonl/0/3",
    )
