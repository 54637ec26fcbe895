"""Do two backends give the same values for the same inputs? Asked of a version before traffic may use it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.errors import BundleError
from streamproc.inference.protocols import CandidateTag, Float32, Models, TaggingRequest

__all__ = ["Agreement", "compare", "require_agreement"]

_TEXTS = (
    "The city opens a new tram line to the harbour next spring.",
    "How to bake rye bread at home.\n\nStart the sourdough two days ahead, keep it warm, and feed it twice.",
    "Quarterly results: revenue up, margin down, outlook unchanged.",
    "Rain. " * 400,  # several windows
)
_NAMES = (
    ("Public transport", "Trams, buses and trains for everybody."),
    ("Baking", "Bread and cakes made in an oven."),
    ("Finance", ""),
    ("Weather", "What the sky does, today and tomorrow."),
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest differences found, each of values within −1 … 1 or of logits.

    Attributes:
        vector: of a component of the encoder's vectors.
        logit: of the tagger.
        confidence: of the calibrator.
    """

    vector: float
    logit: float
    confidence: float

    @property
    def largest(self) -> float:
        """The largest of them."""
        return max(self.vector, self.logit, self.confidence)


async def compare(ours: Models, theirs: Models, features: int) -> Agreement:
    """Give both the same texts and the same notes with candidates, and compare what they answer.

    Args:
        ours: the models to be believed.
        theirs: the models in question.
        features: columns of evidence that the tagger reads.
    """
    requests = _requests(features)
    expected, found = await ours.encoder.encode(_TEXTS), await theirs.encoder.encode(_TEXTS)
    logits = await ours.tagger.score(requests)
    # Both judge the same logits: a difference belongs to one model only.
    return Agreement(
        _largest([expected.vectors], [found.vectors]),
        _largest(logits, await theirs.tagger.score(requests)),
        _largest(
            await ours.calibrator.judge(requests, logits), await theirs.calibrator.judge(requests, logits)
        ),
    )


def require_agreement(found: Agreement, tolerance: float) -> None:
    """Return if nothing differs by more than the tolerance.

    Raises:
        BundleError: something does; the message says what, and by how much.
    """
    for name, difference in (
        ("encoder", found.vector),
        ("tagger", found.logit),
        ("calibrator", found.confidence),
    ):
        if not difference <= tolerance:
            raise BundleError(
                f"the {name} on Triton gives other values than in this process: they differ by {difference:.2g}, "
                f"{tolerance:g} is allowed. No worker should use it; look at the server's log, and whether two bundles call different models by "
                "one version"
            )


def _requests(features: int) -> list[TaggingRequest]:
    chance = np.random.default_rng(1)
    candidates = tuple(CandidateTag(name, name, definition) for name, definition in _NAMES)
    return [
        TaggingRequest(text, candidates, chance.uniform(0, 1, (len(candidates), features)).astype(np.float32))
        for text in _TEXTS
    ]


def _largest(expected: Sequence[Float32], found: Sequence[Float32]) -> float:
    # Not a number, where one is expected, is no agreement: unlike Python's, numpy's maximum passes it on.
    return float(np.max([np.max(np.abs(one - other)) for one, other in zip(expected, found, strict=True)]))
