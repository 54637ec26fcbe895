"""What the outcomes of notes say of the models: tags a note, confidences, paths of recall, versions."""

from collections.abc import Iterable

import msgspec

from streamproc.events.tagged import ModelVersions, NoteOutcome, NoteTagged, RecallPath
from streamproc.observability import metrics
from streamproc.observability.histograms import observe_all

__all__ = ["OutcomeMeter"]


class OutcomeMeter:
    """Counts outcomes as they are published, a batch at a time."""

    def __init__(self) -> None:
        self._versions: ModelVersions | None = None
        # From their first scrape on the series stand at 0: a rate misses the increase of one that is born with it.
        self._paths = {path: metrics.EMITTED_PATHS.labels(path.value) for path in RecallPath}

    def observe(self, outcomes: Iterable[NoteTagged]) -> None:
        """Count the outcomes of a batch; notes in a language that the models do not read say nothing of them."""
        tagged = [outcome for outcome in outcomes if outcome.outcome is NoteOutcome.TAGGED]
        if not tagged:
            return
        self._note_versions(tagged[-1].models)
        emitted = [tag for outcome in tagged for tag in outcome.tags]
        observe_all(metrics.TAGS_PER_NOTE, [len(outcome.tags) for outcome in tagged])
        observe_all(metrics.CONFIDENCE, [tag.confidence for tag in emitted])
        for path, counter in self._paths.items():
            counter.inc(sum(path in tag.paths for tag in emitted))
        metrics.REVIEW_TAGS.inc(sum(len(outcome.review) for outcome in tagged))
        metrics.TRUNCATED.inc(sum(outcome.truncated for outcome in tagged))

    def _note_versions(self, versions: ModelVersions) -> None:
        if versions != self._versions:
            self._versions = versions
            metrics.MODELS.info(msgspec.to_builtins(versions))
