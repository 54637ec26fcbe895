"""Finished graphs in the cache: each in a directory of its own, put there whole, and only the last used ones stay.

Several runs share the cache without a lock: a directory appears and disappears by one rename, and what was used of
late is left alone.
"""

import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from streamproc.graph.milvus import is_open_elsewhere

__all__ = ["GRAPH_FILE", "is_whole", "note_use", "prune", "put_in_place"]

GRAPH_FILE = "graph.db"
DONE_FILE = "done"

MOST_KEPT = 8
"""Graphs that stay: a few repositories of a few versions each; every change of a file makes another."""

SPARED_SECONDS = 3600.0
"""What was used within the last hour stays all the same: a run may be copying it, or fitting confidences to it."""


def is_whole(kept: Path) -> bool:
    """Whether a finished graph stands in this directory."""
    return (kept / DONE_FILE).exists()


def note_use(kept: Path) -> None:
    """Note that the graph is used now: the time of a directory is that of its last use."""
    with suppress(OSError):  # a cache that others filled may be read-only
        os.utime(kept)


def put_in_place(building: Path, kept: Path) -> None:
    """Give a finished graph its name; if another run was faster, its graph stays, for someone may have it open."""
    (building / DONE_FILE).touch()
    while True:
        try:
            building.rename(kept)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        else:
            return
        if is_whole(kept):
            return
        shutil.rmtree(kept)  # somebody took away a part of it


def prune(graphs: Path) -> None:
    """Remove the least recently used graphs, and what interrupted runs left.

    One that is open stays, and so does one that has learnt since it was built: no file could bring that back.
    """
    entries = sorted(_used(graphs), reverse=True)
    for used, kept in entries[MOST_KEPT:]:
        with suppress(OSError):  # another run may remove it at this moment
            if (
                time.time() - used < SPARED_SECONDS
                or is_open_elsewhere(kept / GRAPH_FILE)
                or _has_learnt(kept)
            ):
                continue
            # Moved away first: no run may find one of which a part is gone.
            shutil.rmtree(kept.rename(kept.with_name(f"{kept.name}.removed")))


def _has_learnt(kept: Path) -> bool:
    """Whether the graph was written to after it was finished."""
    if not is_whole(kept):
        return False
    finished = (kept / DONE_FILE).stat().st_mtime
    return any(each.stat().st_mtime > finished for each in (kept / GRAPH_FILE).rglob("*") if each.is_file())


def _used(graphs: Path) -> list[tuple[float, Path]]:
    """Every directory with the time of its last use."""
    found = []
    for each in graphs.iterdir():
        with suppress(FileNotFoundError):
            found.append((each.stat().st_mtime, each))
    return found
