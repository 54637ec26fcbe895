"""A report as one page that a person likes to read: no script, nothing fetched, prints as it shows."""

from streamproc.evaluation.page.page import page

__all__ = ["page"]
