"""Where public datasets come from, and on what terms: what manifests and model cards say of them."""

from dataclasses import dataclass

__all__ = ["SOURCES", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """A public dataset.

    Attributes:
        what: it holds.
        source: repository and commit, or address.
        licence: its terms.
    """

    what: str
    source: str
    licence: str


SOURCES = {
    "biotools_edam": Source(
        "bio.tools records with EDAM terms",
        "https://github.com/bio-tools/content at 51540fd, https://github.com/edamontology/edamontology at 3a6e2ca (EDAM 1.25)",
        "EDAM CC BY-SA 4.0",
    ),
    "clinc150": Source("CLINC150 intents", "https://github.com/clinc/oos-eval at 828f809", "CC BY 3.0"),
    "hwu64": Source(
        "HWU64 intents", "https://github.com/xliuhw/NLU-Evaluation-Data at f6071b4 (KFold_1)", "CC BY 4.0"
    ),
    "reddit_subs1000": Source(
        "Reddit posts of 1,000 communities", "https://github.com/umbrae/reddit-top-2.5-million", "PDDL 1.0"
    ),
}
"""Those that the shipped bundle learns from, by the name of their directory."""
