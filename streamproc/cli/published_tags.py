"""The tag repository as ``tags.changes`` holds it now, for commands that run beside the workers."""

from collections.abc import Iterator, Mapping

import msgspec

from streamproc.config import Settings
from streamproc.errors import PoisonError
from streamproc.events.codec import decode_tag
from streamproc.events.tag import TagChange, TagStatus
from streamproc.events.topics import TopicNames
from streamproc.knowledge.repository import check_change, resolve
from streamproc.streams.reading import read_to_end

__all__ = ["as_file_of_tags", "published_tags"]


async def published_tags(settings: Settings) -> dict[str, TagChange]:
    """The states of all tags by id, as every worker has them: invalid records are passed over.

    Reads to the end that the topic has at the call, and gives up when nothing arrives for half a minute. No index of
    words is built, which for many tags takes longer than reading them.

    Raises:
        SettingsError: Kafka does not answer to these settings, or there is no such topic.
        DependencyDownError: Kafka cannot be reached, or stops answering.
    """
    tags: dict[str, TagChange] = {}
    async for batch in read_to_end(settings, [TopicNames(settings.topic_prefix).tags_changes]):
        for record in batch:
            try:
                change = decode_tag(record.value, record.key)
                check_change(change, tags)
            except PoisonError:
                continue
            tags[change.tag_id] = change
    return tags


def as_file_of_tags(tags: Mapping[str, TagChange]) -> Iterator[TagChange]:
    """The same repository as states that can be applied one after the other.

    On the topic a tag may have changed after others were merged into it. Here each merged tag follows, and names, the
    active tag that it stands for; ids that stand for none are left out.
    """
    yield from (tag for tag in tags.values() if tag.status is TagStatus.ACTIVE)
    for tag in tags.values():
        target = resolve(tag.tag_id, tags)
        if tag.status is TagStatus.MERGED and target is not None:
            yield msgspec.structs.replace(tag, merged_into=target.tag_id)
