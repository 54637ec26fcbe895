"""The tag repository as ``tags.changes`` leaves it: states, names, merges, policies.

Every worker applies the same records in the same order with the same functions, so every worker has
the same repository. A merge is a state of the tag that was merged, never a rewriting of anything
else: undoing it is publishing the earlier state again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamproc.errors import InvalidChangeError
from streamproc.events.codec import normalise_name
from streamproc.events.tag import TagChange, TagPolicy, TagStatus
from streamproc.knowledge.layers import LayeredMap, LayeredView
from streamproc.knowledge.lexical import LexicalIndex

__all__ = ["Repository", "RepositorySnapshot", "Tags", "check_change", "is_searchable", "resolve"]


class Tags(Protocol):
    """Published states of tags by id."""

    def get(self, tag_id: str, /) -> TagChange | None:
        """The tag's state as published, or None."""
        ...


def is_searchable(tag: TagChange) -> bool:
    """Whether recall may propose the tag: active, and not reserved to people."""
    return tag.status is TagStatus.ACTIVE and tag.policy is not TagPolicy.MANUAL_ONLY


def resolve(tag_id: str, tags: Tags) -> TagChange | None:
    """The tag that this id now stands for: the end of its merges, or None where that is not an active tag.

    Args:
        tag_id: an id as some edge or author wrote it.
        tags: the repository; it holds no cycle of merges, because :func:`check_change` lets none in.
    """
    tag = tags.get(tag_id)
    while tag is not None and tag.status is TagStatus.MERGED and tag.merged_into is not None:
        tag = tags.get(tag.merged_into)
    return tag if tag is not None and tag.status is TagStatus.ACTIVE else None


def check_change(change: TagChange, tags: Tags) -> None:
    """Accept a change, or say why it contradicts the repository.

    Raises:
        InvalidChangeError: the merge names no target, itself, an unknown or deprecated tag, or would close
            a circle; or ``merged_into`` is set on a tag that is not merged.
    """
    if change.status is not TagStatus.MERGED:
        if change.merged_into is not None:
            raise InvalidChangeError(
                f"tag {change.tag_id!r} has merged_into {change.merged_into!r} but status {change.status.value!r}; "
                'set the status to "merged", or leave merged_into out'
            )
        return
    if change.merged_into is None:
        raise InvalidChangeError(
            f'tag {change.tag_id!r} has status "merged" but no merged_into; name the tag it became'
        )
    path = [change.tag_id]
    following: str | None = change.merged_into
    while following is not None:
        path.append(following)
        if following == change.tag_id:
            raise InvalidChangeError(f"merging {change.tag_id!r} would close a circle: {' -> '.join(path)}")
        tag = tags.get(following)
        if tag is None:
            raise InvalidChangeError(
                f"tag {change.tag_id!r} cannot be merged into {following!r}: no such tag; publish that one first"
            )
        if tag.status is TagStatus.DEPRECATED:
            raise InvalidChangeError(
                f"tag {change.tag_id!r} cannot be merged into {following!r}, which is deprecated"
            )
        following = tag.merged_into if tag.status is TagStatus.MERGED else None


@dataclass(frozen=True, slots=True)
class RepositorySnapshot:
    """The repository at one moment.

    Attributes:
        by_id: the published states.
        lexical: names, synonyms and definitions of the tags that recall may propose.
        offset: the last applied offset of ``tags.changes``; -1: nothing yet.
    """

    by_id: LayeredView[str, TagChange]
    lexical: LexicalIndex
    offset: int
    _ids_by_name: LayeredView[str, tuple[str, ...]]
    _merged: LayeredView[str, tuple[str, ...]]

    def get(self, tag_id: str) -> TagChange | None:
        """The tag's state as published, merged and deprecated ones included."""
        return self.by_id.get(tag_id)

    def resolve(self, tag_id: str) -> TagChange | None:
        """The active tag that this id now stands for, through merges; None where there is none."""
        return resolve(tag_id, self.by_id)

    def merged(self, tag_id: str) -> Sequence[str]:
        """The ids that were merged into this one, directly or by way of others."""
        direct = self._merged.get(tag_id)
        if direct is None:  # recall asks for every tag it finds, and hardly any has swallowed another
            return ()
        found = list(direct)
        for each in found:  # grows while it is walked; there is no circle of merges
            found += self._merged.get(each, ())
        return found

    def named(self, name: str) -> TagChange | None:
        """The active tag of exactly this name (NFC), an active bearer before a merged one, then in order of id."""
        resolved = [
            (tag_id, self.resolve(tag_id)) for tag_id in self._ids_by_name.get(normalise_name(name), ())
        ]
        bearers = sorted((tag.tag_id != tag_id, tag.tag_id) for tag_id, tag in resolved if tag is not None)
        return self.by_id[bearers[0][1]] if bearers else None

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[TagChange]:
        return iter(self.by_id.values())


class Repository:
    """The repository, kept current by the tail of ``tags.changes``."""

    def __init__(self) -> None:
        self._by_id: LayeredMap[str, TagChange] = LayeredMap()
        self._ids_by_name: LayeredMap[str, tuple[str, ...]] = LayeredMap()
        self._merged: LayeredMap[str, tuple[str, ...]] = LayeredMap()
        self._lexical = LexicalIndex.build()
        self._offset = -1
        self._rejections: dict[int, str] = {}

    @classmethod
    def of(cls, changes: Iterable[TagChange]) -> "Repository":
        """The repository of a file: as if read from a log, but with that log still to come.

        Raises:
            InvalidChangeError: a change contradicts those before it.
        """
        repository = cls()
        for offset, change in enumerate(changes):
            repository.apply(change, offset)
        repository._offset = -1
        return repository

    @property
    def offset(self) -> int:
        """The last applied offset; -1: nothing yet."""
        return self._offset

    @property
    def rejections(self) -> Mapping[int, str]:
        """Why records were not applied, by offset: the same on every worker, so one of them dead-letters it."""
        return self._rejections

    def get(self, tag_id: str, /) -> TagChange | None:
        """The tag's state as it is now."""
        return self._by_id.get(tag_id)

    def apply(self, change: TagChange, offset: int) -> None:
        """Apply one record. One that was applied before is passed over.

        Raises:
            InvalidChangeError: it contradicts the repository, which stays as it was; the offset moves on.
        """
        if offset <= self._offset:
            return
        self._offset = offset
        try:
            check_change(change, self)
        except InvalidChangeError as error:
            self._rejections[offset] = str(error)
            raise
        self._put(change)
        self._lexical = (
            self._lexical.put(change) if is_searchable(change) else self._lexical.remove(change.tag_id)
        )

    def load(self, records: Iterable[tuple[TagChange, int]]) -> None:
        """Apply many records at once, as at the start; invalid ones stand in :attr:`rejections`.

        Args:
            records: changes and their offsets, in the order of the log.
        """
        for change, offset in records:
            try:
                self.apply(change, offset)
            except InvalidChangeError:
                continue

    def pass_over(self, offset: int) -> None:
        """Note that a record was read which says nothing: it could not be decoded."""
        self._offset = max(self._offset, offset)

    def snapshot(self) -> RepositorySnapshot:
        """The repository as it is now."""
        return RepositorySnapshot(
            self._by_id.snapshot(),
            self._lexical,
            self._offset,
            self._ids_by_name.snapshot(),
            self._merged.snapshot(),
        )

    def _put(self, change: TagChange) -> None:
        known = self._by_id.get(change.tag_id)
        name = normalise_name(change.name)
        if known is None or normalise_name(known.name) != name:
            if known is not None:
                self._rename(normalise_name(known.name), without=change.tag_id)
            bearers = self._ids_by_name.get(name) or ()
            self._ids_by_name.set(name, tuple(sorted((*bearers, change.tag_id))))
        before = None if known is None else known.merged_into
        if before != change.merged_into:
            if before is not None:
                left = tuple(each for each in self._merged.get(before) or () if each != change.tag_id)
                self._merged.set(before, left or None)
            if change.merged_into is not None:
                joined = (*(self._merged.get(change.merged_into) or ()), change.tag_id)
                self._merged.set(change.merged_into, joined)
        self._by_id.set(change.tag_id, change)

    def _rename(self, name: str, *, without: str) -> None:
        left = tuple(tag_id for tag_id in self._ids_by_name.get(name) or () if tag_id != without)
        self._ids_by_name.set(name, left or None)
