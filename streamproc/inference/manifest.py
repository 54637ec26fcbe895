"""What a model bundle says about itself: ``manifest.json``."""

import hashlib
from typing import Annotated

import msgspec

from streamproc.errors import BundleError
from streamproc.inference.calibration import BoundMap, CalibrationMap, map_digest

__all__ = [
    "FORMAT",
    "MANIFEST_FILE",
    "Attribution",
    "CalibratorSpec",
    "EncoderSpec",
    "Fold",
    "Manifest",
    "ReadText",
    "RecallFit",
    "TaggerSpec",
    "Training",
    "TrainingSet",
]

FORMAT = 1
MANIFEST_FILE = "manifest.json"


class EncoderSpec(msgspec.Struct, frozen=True):
    """The sentence encoder: ``input_ids, attention_mask int64[batch, tokens] -> embedding float32[batch, dimension]``.

    Attributes:
        file: the ONNX file; pooling and L2 normalisation are inside its graph.
        tokenizer: the ``tokenizer.json``, without truncation or padding of its own.
        dimension: length of a vector.
        window_tokens: tokens a window holds, special tokens included.
        max_windows: windows read of a long text; what is left out sets ``truncated``.
        float_sha256: hash of the float weights. It names the vector collections: the int8 and float
            forms of one encoder share it, two encoders never do.
        cosine_to_float_mean: mean cosine of this file's vectors to the float form's, over a sample of texts.
        cosine_to_float_min: the lowest of them.
        training: the datasets it was fine-tuned on; empty: it is as it was published.
    """

    file: str
    tokenizer: str
    dimension: int
    window_tokens: int
    max_windows: int
    float_sha256: str
    cosine_to_float_mean: float
    cosine_to_float_min: float
    training: tuple["TrainingSet", ...] = ()


class ReadText(msgspec.Struct, frozen=True):
    """How much text a model reads of a note and of each candidate.

    Attributes:
        note_tokens: most tokens of a note, special tokens included.
        candidate_tokens: most tokens of a candidate's name and definition, its marker included.
    """

    note_tokens: int
    candidate_tokens: int


class Fold(msgspec.Struct, frozen=True):
    """One of several parts of the notes, each of about the same size; a note's id alone decides where it belongs.

    Attributes:
        number: of the part, from 1.
        folds: how many parts there are.
    """

    number: Annotated[int, msgspec.Meta(ge=1)]
    folds: Annotated[int, msgspec.Meta(ge=2)]

    def holds(self, note_id: str) -> bool:
        """Whether the note belongs to this part."""
        digest = hashlib.sha256(note_id.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.folds == self.number - 1


class TaggerSpec(msgspec.Struct, frozen=True):
    """The tagger, in one of two forms; in both a candidate's logit is its own.

    One reads the evidence alone, ``evidence float32[rows, features] -> logit float32[rows]``. A label-marker encoder
    reads the text, too: ``note_ids int64[notes, tokens], candidate_ids int64[notes, candidates, tokens],
    evidence float32[notes, candidates, features] -> logit float32[notes, candidates]``; id 0 is padding.

    Attributes:
        file: the ONNX file.
        version: recorded in every output.
        features: names of the evidence columns, in order.
        training_data: names of the data sets it was trained on.
        text: what a label-marker encoder reads; None: it reads the evidence alone.
        held_out: the part of their train that it was not trained on, and may judge as new; None: it has seen all.
    """

    file: str
    version: str
    features: tuple[str, ...]
    training_data: tuple[str, ...]
    text: ReadText | None = None
    held_out: Fold | None = None


class CalibratorSpec(msgspec.Struct, frozen=True):
    """The judge: ``features float32[rows, evidence + 1] -> logits float32[rows, 2]`` (Yes, No).

    Its input is the evidence followed by the tagger's logit.

    Attributes:
        file: the ONNX file.
        version: of the model.
        map: applied to the softmax of the two logits; fitted on this very file.
        training_data: names of the data sets it was trained and fitted on.
    """

    file: str
    version: str
    map: CalibrationMap
    training_data: tuple[str, ...]

    @property
    def served_version(self) -> str:
        """The model's version and the map's digest: what outputs record."""
        return f"{self.version}+{map_digest(self.map)}"

    def bound_map(self, features: tuple[str, ...]) -> BoundMap:
        """The map, ready for evidence of these columns.

        Raises:
            BundleError: the map hears evidence that is not among them.
        """
        try:
            return BoundMap(self.map, features)
        except ValueError as error:
            raise BundleError(
                f"{error}: use a bundle or a calibration that was fitted with this version"
            ) from None


class RecallFit(msgspec.Struct, frozen=True):
    """Recall thresholds and shares fitted to the encoder (LLM4Tag section 3.1; the paper's belong to BGE).

    Attributes:
        delta_content_tag: lowest cosine of a content–tag similarity edge (δ_ct).
        delta_content_content: lowest cosine of a content–content similarity edge (δ_cc).
        max_content_tag: most candidates taken by C2T.
        max_neighbour_tag: most candidates taken by C2C2T.
        max_lexical: most candidates taken by their words.
        sharpness: neighbours vote in proportion to exp(sharpness × similarity).
        fusion: evidence column → weight; the sum ranks the union of the paths.
        fitted_on: names of the data sets used.
    """

    delta_content_tag: float
    delta_content_content: float
    max_content_tag: int
    max_neighbour_tag: int
    max_lexical: int
    sharpness: float
    fusion: dict[str, float]
    fitted_on: tuple[str, ...]


class Attribution(msgspec.Struct, frozen=True):
    """Whose work a file of the bundle is.

    Attributes:
        work: the name of the work.
        source: where it is published.
        licence: SPDX identifier.
        changes: what was changed, as the licence asks to state.
    """

    work: str
    source: str
    licence: str
    changes: str


class TrainingSet(msgspec.Struct, frozen=True):
    """A dataset that models learnt from.

    Attributes:
        name: of its directory.
        source: where it is published, as far as that is known.
        licence: likewise.
        files: name → SHA-256 (hex) of each file that was read.
    """

    name: str
    source: str
    licence: str
    files: dict[str, str]


class Training(msgspec.Struct, frozen=True):
    """What tagger and calibrator learnt from; labels of a teacher, where there was one, are not among it.

    Attributes:
        sets: the datasets, in the order in which they were drawn from.
        notes_a_set: labelled notes drawn from each, beside those under other conditions.
        seed: of every draw.
        networks: over the evidence of which tagger and calibrator each give the mean.
        passes: over the evidence, of a network of the tagger.
    """

    sets: tuple[TrainingSet, ...]
    notes_a_set: int
    seed: int
    networks: int = 1
    passes: int = 30


class Manifest(msgspec.Struct, frozen=True):
    """A bundle's contents, versions and fitted numbers.

    A bundle in the making has an encoder only; tagger, calibrator and recall are added by training.

    Attributes:
        format: version of this layout.
        name: the bundle's name.
        version: the bundle's version.
        languages: language codes (ISO 639-1) the models were made for.
        encoder: the encoder.
        files: relative path → SHA-256 (hex) of every file beside the manifest.
        attributions: whose work the files are.
        tagger: the tagger, once trained.
        calibrator: the calibrator, once trained.
        recall: the fitted recall, once fitted.
        training: what tagger and calibrator learnt from; None: they were not trained, or that was not recorded.
        figures: dataset → figure → value, as the model card has them; empty where nobody measured.
    """

    format: int
    name: str
    version: str
    languages: tuple[str, ...]
    encoder: EncoderSpec
    files: dict[str, str]
    attributions: tuple[Attribution, ...]
    tagger: TaggerSpec | None = None
    calibrator: CalibratorSpec | None = None
    recall: RecallFit | None = None
    training: Training | None = None
    figures: dict[str, dict[str, float]] = {}
