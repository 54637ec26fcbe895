"""The figures in words, for whoever meets them for the first time."""

from streamproc.evaluation.page.markup import section, terms

__all__ = ["words"]


def words() -> str:
    """What each figure is."""
    return section(
        "The figures in words",
        "",
        terms(
            (
                ("P@k", "right tags among the first k, over k."),
                (
                    "nDCG@k",
                    "like P@k, but a right tag counts more the further in front it stands; 1 is the best order there is.",
                ),
                (
                    "F1@5",
                    "the harmonic mean of P@5 and of the share of a note's right tags among its first five.",
                ),
                (
                    "micro, macro F1",
                    "over all tags together, so that common ones weigh most; and the mean over tags, each alike.",
                ),
                (
                    "ECE",
                    (
                        "calibration error: how far confidence and share of right are apart on average, over 15 bins of equally many "
                        "emitted tags. Its range comes from drawing notes anew 1,000 times."
                    ),
                ),
                (
                    "Noise floor",
                    (
                        "the ECE that a perfectly calibrated model with the same confidences would show by chance: the mean of 1,000 "
                        "draws. Excess is what the ECE has above it."
                    ),
                ),
                (
                    "Brier score",
                    "the mean squared distance between confidence and truth, over all scored candidates; less is better.",
                ),
                (
                    "Brier skill",
                    "the share of the Brier score saved against always saying the base rate; 0 is no better than that.",
                ),
                (
                    "Area under risk–coverage",
                    "the mean share of wrong ones over all thresholds; it judges order alone. Less is better.",
                ),
                (
                    "Candidates",
                    "the tags that recall brings; a note's right tags beyond them count as missed everywhere.",
                ),
            )
        ),
    )
