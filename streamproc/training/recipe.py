"""How an encoder is fine-tuned: the numbers of a run, none of which depends on torch."""

import msgspec

__all__ = ["Recipe"]

_RISE = 0.1  # of the run; AdamW's first steps are large whatever the gradient


class Recipe(msgspec.Struct, frozen=True):
    """The numbers of a run.

    Attributes:
        alpha: weight of the tag objective, L = (L_c + α L_t) / (1 + α) (NoteLLM, eq. 9).
        beta: weight of the teacher, where there is one: L = (L_c + α L_t + β L_d) / (1 + α + β).
        epochs: passes over the notes; the best on valid is kept.
        notes_an_epoch: most notes drawn from each set in an epoch.
        seed: of every draw.
        pairs_a_batch: pairs of notes in a batch; all its notes are negatives for each other.
        learning_rate: its peak; it rises over the first tenth of the run and falls to 0 linearly.
        temperature: cosines are divided by it.
        max_tokens: of a text in training; served texts are read in full.
        save_batches: batches between two saves.
    """

    alpha: float = 1.0
    beta: float = 4.0
    epochs: int = 2
    notes_an_epoch: int = 20_000
    seed: int = 0
    pairs_a_batch: int = 32
    learning_rate: float = 1e-4
    temperature: float = 0.05
    max_tokens: int = 64
    save_batches: int = 25

    def learning_rate_after(self, epochs_done: float) -> float:
        """The learning rate when so many epochs, whole and in part, are done."""
        done = epochs_done / self.epochs
        rising = (done + 0.01) / _RISE
        falling = (1 - done) / (1 - _RISE)
        return self.learning_rate * max(min(rising, falling, 1.0), 0.0)
