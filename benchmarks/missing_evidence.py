"""What evidence a tagger lacks: columns that service does not have, added one by one and measured on valid.

    python -m benchmarks.missing_evidence DATASETS_DIR/nyt_keywords BUNDLE

Needs the ``train`` and ``baselines`` extras. BUNDLE's encoder and fitted recall bring the candidates; nothing of it is
changed. Every tagger is trained anew on the set's own train, where each note is recalled as if it were new and no added
column has seen the note's own labels. Prints nDCG@5 and P@1 over all right tags, the mean of two seeds, and first what
an oracle would reach that puts the recalled candidates in order.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.command import needing, parser_of, run
from streamproc.evaluation.baselines import Trees, omikuji
from streamproc.evaluation.dataset import LabelledNote, Split, read_dataset
from streamproc.evaluation.metrics import ndcg_at, precision_at
from streamproc.evaluation.prepared import Prepared, prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle
from streamproc.inference.onnx import load_encoder
from streamproc.inference.text import note_text
from streamproc.training.rows import Rows, rows_of

Float64 = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

NOTES = 6000  # of train, drawn at random
SEEDS = (0, 1)
EPOCHS = 8  # fewer than a bundle's, for many taggers are trained; one that had 20 was .004 better
VOTERS = 50
SHARPNESS = 12.0
WORDS_DIMENSION = 400
RIDGE = 1.0
FOLDS = 4
PRIOR_NOTES = 20.0  # a category's rate of a tag counts as if so many notes more had the overall rate


@dataclass(frozen=True)
class Part:
    """Recalled notes of one file.

    Attributes:
        rows: their candidates.
        notes: the notes themselves.
        places: of the notes in their file.
        tags: number of each row's tag.
        own: whether the notes are history themselves, so that their own labels must be taken out.
    """

    rows: Rows
    notes: tuple[LabelledNote, ...]
    places: Places
    tags: Places
    own: bool


class Study:
    """One dataset: its train as history, candidates of train and of valid, and columns to add to them."""

    def __init__(self, prepared: Prepared, thresholds: Thresholds) -> None:
        from scipy.sparse import csr_matrix  # noqa: PLC0415 - an extra

        self.prepared = prepared
        dataset = prepared.dataset
        self.train = dataset.train
        self.number = {tag.tag_id: number for number, tag in enumerate(dataset.tags)}
        pairs = [(row, self.number[tag]) for row, each in enumerate(self.train) for tag in each.gold]
        at = np.array(pairs, dtype=np.int64).T
        self.labels = csr_matrix(
            (np.ones(len(pairs)), (at[0], at[1])), shape=(len(self.train), len(dataset.tags))
        )
        self.labelled = np.flatnonzero(self.labels.getnnz(axis=1))
        self.parts = {
            split: self._part(split, thresholds, most)
            for split, most in ((Split.TRAIN, NOTES), (Split.VALID, len(dataset.valid)))
        }

    def _part(self, split: Split, thresholds: Thresholds, most: int) -> Part:
        whole = self.prepared.dataset.split(split)
        with_tags = np.array([place for place, each in enumerate(whole) if each.gold], dtype=np.int64)
        places = np.sort(np.random.default_rng(2).permutation(with_tags)[:most])
        notes = tuple(whole[place] for place in places)
        rows = rows_of(self.prepared, notes, self.prepared.vectors[split][places], thresholds)
        tags = np.array([self.number[tag.tag_id] for tag in rows.tags], dtype=np.int64)
        return Part(rows, notes, places, tags, split is Split.TRAIN)

    def words(self, **options: object) -> dict[Split, Any]:
        """TF-IDF of train and valid, a row a note: SciPy's sparse matrices."""
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - an extra

        counted = TfidfVectorizer(sublinear_tf=True, min_df=2, **options)
        counted.fit([note_text(each.note) for each in self.train])
        return {
            split: counted.transform(
                [note_text(each.note) for each in self.prepared.dataset.split(split)]
            ).tocsr()
            for split in (Split.TRAIN, Split.VALID)
        }


Columns = dict[Split, Float64]


def sparse_votes(study: Study) -> Columns:
    """Votes of the notes nearest by words: highest similarity, shares of 3, 10 and 50 votes, and a sharpened share."""
    words = study.words(stop_words="english", max_df=0.1)
    history = words[Split.TRAIN][study.labelled].T.tocsc()
    found = {}
    for split, part in study.parts.items():
        columns = np.zeros((len(part.tags), 5))
        for note, place in enumerate(part.places):
            others = study.labelled != place if part.own else np.full(len(study.labelled), fill_value=True)
            similarity = (words[split][place] @ history).toarray().ravel()[others]
            nearest = np.argsort(-similarity, kind="stable")[:VOTERS]
            near = similarity[nearest]
            rows = np.flatnonzero(part.rows.note == note)
            carry = study.labels[study.labelled[others][nearest]][:, part.tags[rows]].toarray().T
            weights = [np.arange(len(near)) < size for size in (3, 10, 50)] + [
                np.exp(SHARPNESS * (near - near[0]))
            ]
            columns[rows, 0] = (carry * near).max(axis=1)
            for column, weight in enumerate(weights, start=1):
                columns[rows, column] = carry @ weight / np.sum(weight)
        found[split] = columns
    return found


def heads(study: Study, *, with_words: bool) -> Columns:
    """A ridge regression for each tag over the note's vector, without the note's own label (in closed form)."""
    inputs = {split: study.prepared.vectors[split].astype(np.float64) for split in study.parts}
    if with_words:
        from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415 - an extra

        words = study.words()
        dimension = min(WORDS_DIMENSION, words[Split.TRAIN].shape[1] - 1)
        topics = TruncatedSVD(dimension, random_state=0).fit(words[Split.TRAIN])
        inputs = {
            split: np.concatenate([inputs[split], topics.transform(words[split])], axis=1) for split in inputs
        }
    history = inputs[Split.TRAIN][study.labelled]
    labels = study.labels[study.labelled]
    uses = np.asarray(labels.sum(axis=0)).ravel()
    inverse = np.linalg.inv(history.T @ history + RIDGE * np.eye(history.shape[1]))
    weights = inverse @ (labels.T @ history).T
    level = inverse @ history.sum(axis=0)
    found = {}
    for split, part in study.parts.items():
        asked = inputs[split][part.places]
        score = np.concatenate(
            [vector @ weights[:, tags] for vector, tags in zip(asked, _by_note(part, part.tags), strict=True)]
        )
        # What the vector does not tell of a tag, its share among the notes does.
        untold = 1 - (asked @ level)[part.rows.note]
        own = part.rows.right * part.own
        score += untold * (uses[part.tags] - own) / (len(history) - part.own)
        if part.own:
            leverage = np.einsum("ij,jk,ik->i", asked, inverse, asked, optimize=True)[part.rows.note]
            score = (score - leverage * own) / (1 - leverage)
        found[split] = score[:, None]
    return found


def priors(study: Study) -> Columns:
    """How often the tag is used, and how often in the note's category; nothing where notes have no category."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - an extra

    numbers = {name: at for at, name in enumerate(sorted({each.note.category for each in study.train}))}
    category = np.array([numbers[each.note.category] for each in study.train])
    of_category = csr_matrix(
        (np.ones(len(category)), (np.arange(len(category)), category)),
        shape=(len(category), len(numbers)),
    )
    used, notes = (of_category.T @ study.labels).tocsr(), np.asarray(of_category.sum(axis=0)).ravel()
    uses = np.asarray(study.labels.sum(axis=0)).ravel()
    found = {}
    for split, part in study.parts.items():
        at = np.array([numbers.get(each.note.category, -1) for each in part.notes])[part.rows.note]
        own = part.rows.right * part.own
        in_all = uses[part.tags] - own
        rate = in_all / len(study.labelled)
        within = np.where(at >= 0, np.asarray(used[at, part.tags]).ravel() - own, 0)
        size = np.where(at >= 0, notes[at] - part.own, 0)
        inside = (within + PRIOR_NOTES * rate) / (size + PRIOR_NOTES)
        found[split] = np.stack([np.log1p(in_all), np.log(inside + 1e-4), np.log(rate + 1e-4)], axis=1)
    return found


def trees(study: Study) -> Columns:
    """One over the tag's rank among the twenty that Omikuji Bonsai gives, trained without the note."""
    dataset = study.prepared.dataset
    fold = np.random.default_rng(0).integers(0, FOLDS, len(study.train))
    given: dict[Split, list[list[str]]] = {}
    part = study.parts[Split.TRAIN]
    given[Split.TRAIN] = [[] for _ in part.notes]
    for number in range(FOLDS):
        rest = replace(dataset, train=tuple(study.train[at] for at in np.flatnonzero(fold != number)))
        asked = np.flatnonzero(fold[part.places] == number)
        for at, best in zip(
            asked, omikuji(rest, [part.notes[at] for at in asked], Trees.BONSAI), strict=True
        ):
            given[Split.TRAIN][at] = best
    given[Split.VALID] = omikuji(dataset, study.parts[Split.VALID].notes, Trees.BONSAI)
    found = {}
    for split, part in study.parts.items():
        ranks = [{study.number[tag]: rank for rank, tag in enumerate(best, 1)} for best in given[split]]
        found[split] = np.array(
            [
                [1 / ranks[note][tag] if tag in ranks[note] else 0.0]
                for note, tag in zip(part.rows.note, part.tags, strict=True)
            ]
        )
    return found


COLUMNS: dict[str, Callable[[Study], Columns]] = {
    "votes by words": sparse_votes,
    "heads over the vector": lambda study: heads(study, with_words=False),
    "heads over vector and words": lambda study: heads(study, with_words=True),
    "tag and category": priors,
    "Omikuji": trees,
}


def main(directory: Path, bundle: Bundle) -> None:
    """Print one line a set of columns."""
    with needing("baselines"):
        import omikuji  # noqa: F401, PLC0415 - better missed now than after the first columns
        import sklearn  # noqa: F401, PLC0415 - brings scipy
    with needing("train"):
        import torch  # noqa: F401, PLC0415
    encoder = load_encoder(bundle)
    cache = VectorCache(
        encoder, bundle.manifest.files[bundle.manifest.encoder.file], Path("~/.cache/streamproc/vectors")
    )
    study = Study(prepare(read_dataset(directory), cache), Thresholds.of(bundle.manifest.recall))
    encoder.pool.close()
    valid = study.parts[Split.VALID]
    _say("oracle among the candidates", [_figures(valid, valid.rows.right)])
    _say("nothing", _trained(study, []))
    added: list[Columns] = []
    for name, make in COLUMNS.items():
        added.append(make(study))
        _say(name, _trained(study, added[-1:]))
    _say("all of them", _trained(study, added))


def _trained(study: Study, added: list[Columns]) -> list[tuple[float, float]]:
    """Figures on valid, one a seed."""
    from streamproc.training.perceptron import fit_tagger, logits  # noqa: PLC0415 - torch: the columns need none

    train, valid = (
        replace(
            part.rows,
            evidence=np.concatenate([part.rows.evidence, *(each[split] for each in added)], axis=1).astype(
                np.float32
            ),
        )
        for split, part in study.parts.items()
    )
    return [
        _figures(
            study.parts[Split.VALID],
            logits(fit_tagger(train, epochs=EPOCHS, seed=seed), valid.evidence)[:, 0],
        )
        for seed in SEEDS
    ]


def _figures(part: Part, score: npt.NDArray[np.float32]) -> tuple[float, float]:
    tags = [tag.tag_id for tag in part.rows.tags]
    ranked = [
        [tags[row] for row in rows[np.argsort(-score[rows], kind="stable")]]
        for rows in _by_note(part, np.arange(len(tags)))
    ]
    gold = [each.gold for each in part.notes]
    return float(ndcg_at(ranked, gold, 5).mean()), float(precision_at(ranked, gold, 1).mean())


def _by_note(part: Part, values: Places) -> list[Places]:
    """The values of each note's rows."""
    return np.split(values, np.searchsorted(part.rows.note, np.arange(1, len(part.notes))))


def _say(what: str, figures: list[tuple[float, float]]) -> None:
    ndcg, first = np.mean(figures, axis=0)
    print(f"{what:28} nDCG@5 {ndcg:.4f}  P@1 {first:.4f}", flush=True)


def command() -> None:
    """Read the arguments and measure."""
    parser = parser_of(__doc__)
    parser.add_argument("dataset", type=Path, help="its directory")
    parser.add_argument("bundle", type=Path, help="directory of the bundle whose encoder and recall are used")
    given = parser.parse_args()
    main(given.dataset, Bundle.load(given.bundle))


if __name__ == "__main__":
    run(command)
