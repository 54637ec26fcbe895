"""Encoders of two thin layers with a vocabulary of words, as transformers checkpoints on disk."""

import json
from pathlib import Path

from streamproc.training.base_encoder import BaseEncoder, read_base

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *["tea", "coffee", "milk", "cup", "pot", "of", "a", "the", "hot", "cold", "green", "black"],
]


_SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def write_checkpoint(directory: Path) -> BaseEncoder:
    """A BERT whose tokens are averaged."""
    from transformers import BertConfig, BertModel

    return _written(directory, BertModel, BertConfig(**_SMALL))


def write_first_token_checkpoint(directory: Path) -> BaseEncoder:
    """A BERT whose first token is the text's vector, as BGE has it."""
    directory.mkdir(exist_ok=True)
    modules = [{"path": "", "type": "models.Transformer"}, {"path": "1_Pooling", "type": "models.Pooling"}]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    return write_checkpoint(directory)


def write_mpnet_checkpoint(directory: Path) -> BaseEncoder:
    """An MPNet: positions relative to each other and behind the padding's, no token types."""
    from transformers import MPNetConfig, MPNetModel

    return _written(directory, MPNetModel, MPNetConfig(**_SMALL, pad_token_id=0))


def write_roberta_checkpoint(directory: Path) -> BaseEncoder:
    """A RoBERTa: positions behind the padding's, one token type."""
    from transformers import RobertaConfig, RobertaModel

    return _written(directory, RobertaModel, RobertaConfig(**_SMALL, pad_token_id=0, type_vocab_size=1))


def _written(directory: Path, model, config) -> BaseEncoder:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(0)
    model(config).save_pretrained(directory)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    return read_base(directory)
