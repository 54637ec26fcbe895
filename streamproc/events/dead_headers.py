"""The headers that say of a record on ``notes.dead`` what was wrong with it, named after Kafka's own (KIP-1034)."""

__all__ = [
    "ATTEMPTS",
    "DESCRIPTIONS",
    "EXCEPTION",
    "MESSAGE",
    "NULL_VALUE",
    "OFFSET",
    "PARTITION",
    "SHA256",
    "STAGE",
    "TIMESTAMP",
    "TOPIC",
    "TRUNCATED",
]

_PREFIX = "__streams.errors."

EXCEPTION = _PREFIX + "exception"
MESSAGE = _PREFIX + "message"
STAGE = _PREFIX + "stage"
ATTEMPTS = _PREFIX + "attempts"
TOPIC = _PREFIX + "topic"
PARTITION = _PREFIX + "partition"
OFFSET = _PREFIX + "offset"
TIMESTAMP = _PREFIX + "timestamp"
SHA256 = _PREFIX + "sha256"
NULL_VALUE = _PREFIX + "null"
TRUNCATED = "truncated"

DESCRIPTIONS = {
    EXCEPTION: "The class of the error.",
    MESSAGE: "What was wrong, with which value, and what to do.",
    STAGE: "Which part of the work met it.",
    ATTEMPTS: "How often that was tried.",
    TOPIC: "Where the record came from.",
    PARTITION: "Its partition there.",
    OFFSET: "Its offset there.",
    TIMESTAMP: "Its own time, milliseconds since 1970.",
    TRUNCATED: "Present where the original did not fit: the beginning of its value is kept.",
    SHA256: "Of the whole original value; present where only its beginning is kept.",
    NULL_VALUE: "Present where the original had neither key nor value; the value here is empty.",
}
"""What each of them says."""
