"""The release: a link to the bundle that every worker uses, moved in one step.

``STREAMPROC_BUNDLE`` may be a symbolic link to a bundle's directory, on a disk that the workers share. Workers look
at it every few seconds and change over when it points to another bundle. The link is the one place where a release is
decided: the tokenizer, the calibration map and the thresholds in the bundle have to reach a worker together with the
decision, and a link to them cannot name a bundle that is not there. Beside it, ``<name>.previous`` remembers where it
pointed before.
"""

import os
from pathlib import Path

from streamproc.errors import SettingsError

__all__ = ["back", "point_to", "previous_of"]


def previous_of(link: Path) -> Path:
    """The link that remembers the release before this one."""
    return link.with_name(f"{link.name}.previous")


def point_to(link: Path, bundle: Path) -> None:
    """Let the link point to a bundle, and remember where it pointed.

    Args:
        link: the release; made if nothing is there yet.
        bundle: the directory of the bundle.

    Raises:
        SettingsError: there is something else than a link.
    """
    _require_link(link)
    target = bundle.resolve()
    if link.is_symlink():
        if link.resolve() == target:
            return
        _replace(previous_of(link), link.resolve())
    _replace(link, target)


def back(link: Path) -> Path:
    """Let the link point to where it pointed before, and give that; a second call comes forward again.

    Args:
        link: the release.

    Raises:
        SettingsError: there is no link, or nothing before it is known.
    """
    _require_link(link)
    previous = previous_of(link)
    if not link.is_symlink() or not previous.is_symlink():
        raise SettingsError(
            f"{link} has no release before it that is known ({previous} is missing); "
            "name the bundle: streamproc models switch BUNDLE"
        )
    target = previous.resolve()
    _replace(previous, link.resolve())
    _replace(link, target)
    return target


def _require_link(link: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise SettingsError(
            f"STREAMPROC_BUNDLE = {link} is a bundle itself, not a link to one, so nothing can be switched. Make a link "
            f"to it (ln -s {link} {link.with_name('current')}) and set STREAMPROC_BUNDLE to the link for every worker."
        )


def _replace(link: Path, target: Path) -> None:
    # Beside each other the link stays right where the disk is mounted elsewhere.
    beside = target.parent == link.absolute().parent.resolve()
    made = link.with_name(f".{link.name}.{os.getpid()}")
    made.unlink(missing_ok=True)
    made.symlink_to(target.name if beside else target)
    made.replace(link)
