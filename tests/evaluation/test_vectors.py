import numpy as np

from streamproc.evaluation.vectors import VectorCache
from tests.evaluation.worlds import WordEncoder

TEXTS = ["tea", "coffee and tea", "milk"]


def test_a_list_of_texts_is_encoded_once(tmp_path):
    encoder = WordEncoder()
    first = VectorCache(encoder, "e", tmp_path / "vectors").vectors(TEXTS)
    second = VectorCache(encoder, "e", tmp_path / "vectors").vectors(TEXTS)
    assert encoder.texts == len(TEXTS)
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32


def test_other_texts_and_other_encoders_have_other_files(tmp_path):
    encoder = WordEncoder()
    VectorCache(encoder, "e", tmp_path).vectors(TEXTS)
    VectorCache(encoder, "f", tmp_path).vectors(TEXTS)
    VectorCache(encoder, "e", tmp_path).vectors(["teac", "offee and tea", "milk"])
    assert encoder.texts == 3 * len(TEXTS)


def test_a_broken_file_is_made_anew(tmp_path):
    encoder = WordEncoder()
    VectorCache(encoder, "e", tmp_path).vectors(TEXTS)
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(b"\x93NUMPY nothing")
    assert VectorCache(encoder, "e", tmp_path).vectors(TEXTS).shape == (3, 8)
    assert encoder.texts == 2 * len(TEXTS)
