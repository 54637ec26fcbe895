"""What a directory of a sentence encoder says of itself, and what is refused."""

import json

import pytest

from streamproc.errors import UserError
from streamproc.training.base_encoder import Pooling, read_base

POOLING = "sentence_transformers.models.Pooling"
TRANSFORMER = "sentence_transformers.models.Transformer"


def written(directory, *, config=None, sentence=None, modules=None, pooling=None, card=None):
    directory.mkdir()
    (directory / "model.safetensors").write_bytes(b"")
    (directory / "tokenizer.json").write_text("{}")
    (directory / "config.json").write_text(json.dumps(config or {}))
    if sentence is not None:
        (directory / "sentence_bert_config.json").write_text(json.dumps(sentence))
    if modules is not None:
        rows = [
            {"idx": n, "name": str(n), "path": path, "type": kind} for n, (path, kind) in enumerate(modules)
        ]
        (directory / "modules.json").write_text(json.dumps(rows))
    if pooling is not None:
        (directory / "1_Pooling").mkdir()
        (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if card is not None:
        (directory / "README.md").write_text(card)
    return directory


def test_pooling_window_and_licence_are_those_of_the_encoder(tmp_path):
    base = read_base(
        written(
            tmp_path / "big-one",
            config={"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0},
            sentence={"max_seq_length": 384},
            modules=[
                ("", TRANSFORMER),
                ("1_Pooling", POOLING),
                ("2", "sentence_transformers.models.Normalize"),
            ],
            pooling={"word_embedding_dimension": 768, "pooling_mode_cls_token": True},
            card="---\nlanguage: en\nlicense: apache-2.0\n---\n# Big one\nlicense: none\n",
        )
    )
    assert (base.name, base.licence) == ("big-one", "apache-2.0")
    assert (base.pooling, base.window_tokens) == (Pooling.CLS, 384)


def test_a_plain_checkpoint_is_averaged_over_the_positions_that_it_has(tmp_path):
    base = read_base(
        written(
            tmp_path / "plain",
            config={"model_type": "bert", "max_position_embeddings": 128, "pad_token_id": 0},
        )
    )
    assert (base.pooling, base.window_tokens, base.licence) == (Pooling.MEAN, 128, "unknown")


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 1},
        {"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 3},
        {},
    ],
    ids=["counted from the padding", "counted from 0", "not said"],
)
def test_no_window_is_longer_than_there_are_positions(tmp_path, config):
    base = read_base(written(tmp_path / "one", config=config, sentence={"max_seq_length": 8192}))
    assert base.window_tokens == 512


def test_a_licence_stands_in_the_front_matter_or_nowhere(tmp_path):
    base = read_base(written(tmp_path / "one", card="# A card\nlicense: mit\n"))
    assert base.licence == "unknown"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path, name):
    directory = written(tmp_path / "one")
    (directory / name).unlink()
    with pytest.raises(
        UserError, match=rf"{name} is missing: --base takes the directory of a sentence encoder"
    ):
        read_base(directory)


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere/config\.json is missing"):
        read_base(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("pooling", "said"),
    [
        ({"pooling_mode_max_tokens": True}, "pools by pooling_mode_max_tokens"),
        (
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            "pools by pooling_mode_cls_token, ",
        ),
        ({}, "pools by nothing"),
    ],
)
def test_pooling_that_cannot_be_exported_is_refused(tmp_path, pooling, said):
    directory = written(
        tmp_path / "one", modules=[("", TRANSFORMER), ("1_Pooling", POOLING)], pooling=pooling
    )
    with pytest.raises(UserError, match=said):
        read_base(directory)


def test_layers_behind_the_pooling_are_refused(tmp_path):
    directory = written(
        tmp_path / "one", modules=[("", TRANSFORMER), ("3_Dense", "sentence_transformers.models.Dense")]
    )
    with pytest.raises(UserError, match="has a layer 'Dense', which cannot be exported"):
        read_base(directory)


@pytest.mark.parametrize("content", ["{", '{"max_position_embeddings": "many"}', "\xff"])
def test_a_broken_file_is_named(tmp_path, content):
    directory = written(tmp_path / "one")
    (directory / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"config\.json does not describe an encoder"):
        read_base(directory)
