"""The one tree of errors.

::

    StreamprocError
    ├── UserError                 a person's mistake: one sentence, exit status 2
    │   ├── SettingsError         a setting is missing, malformed or contradicts another
    │   ├── InputFileError        a file given on the command line cannot be used
    │   ├── BundleError           a model bundle is incomplete or was altered
    │   ├── GraphMismatchError    the graph was built by another encoder, or is lost or foreign
    │   └── UnusableAnswersError  a language model answers question after question in ways that cannot be used
    ├── PoisonError               the record itself is at fault: dead letter at once
    │   ├── DecodeError           not JSON, not UTF-8, wrong types, a limit exceeded
    │   ├── KeyMismatchError      the record's key disagrees with its value
    │   ├── HeaderError           a header is not what CloudEvents defines
    │   ├── InvalidChangeError    a change of a tag or of knowledge contradicts the repository
    │   ├── OutputTooLargeError   an output would not fit its topic
    │   ├── RepeatedFailureError  the record failed alone while every dependency was healthy
    │   └── FatalRecordError      workers ended while the record was at work, again and again
    ├── AnswerError               a language model gave no answer to this question that can be used
    │   ├── RefusalError          it declines to answer
    │   ├── UnreadableAnswerError the answer is not in the form that was asked for
    │   └── RejectedQuestionError its endpoint does not take the question: too long, an image it cannot fetch
    └── TransientError            worth another attempt (``retriable``)
        ├── BusyError             a service answered that it cannot serve now, perhaps saying when it can
        ├── DeadlineError         one attempt took longer than it may
        ├── NotFiniteError        a model answered with something that is no number
        └── DependencyDownError   a dependency cannot be reached: wait, count no attempt

Callers branch on ``retriable`` and on these classes, never on messages. A message says what was
wrong, with which value, and what to do.
"""

from typing import ClassVar

__all__ = [
    "AnswerError",
    "BundleError",
    "BusyError",
    "DeadlineError",
    "DecodeError",
    "DependencyDownError",
    "FatalRecordError",
    "GraphMismatchError",
    "HeaderError",
    "InputFileError",
    "InvalidChangeError",
    "KeyMismatchError",
    "NotFiniteError",
    "OutputTooLargeError",
    "PoisonError",
    "RefusalError",
    "RejectedQuestionError",
    "RepeatedFailureError",
    "SettingsError",
    "StreamprocError",
    "TransientError",
    "UnreadableAnswerError",
    "UnusableAnswersError",
    "UserError",
]


class StreamprocError(Exception):
    """Base of every error this package raises on purpose."""

    retriable: ClassVar[bool] = False


class UserError(StreamprocError):
    """A person can put this right; its message is all they need to see."""


class SettingsError(UserError):
    """A setting is missing, malformed or contradicts another."""


class InputFileError(UserError):
    """A file given on the command line cannot be used."""


class BundleError(UserError):
    """A model bundle is incomplete or was altered."""


class GraphMismatchError(UserError):
    """The graph was built by another encoder, or is not the one the topics describe."""


class UnusableAnswersError(UserError):
    """A language model answers, and nothing that it says can be used: another model or wording is wanted."""


class PoisonError(StreamprocError):
    """The record itself is at fault; no retry can help."""


class DecodeError(PoisonError):
    """The value is not JSON, not UTF-8, of a wrong shape, or exceeds a limit."""


class KeyMismatchError(PoisonError):
    """The record's key names another entity than its value."""


class HeaderError(PoisonError):
    """A record header is not what the CloudEvents binding defines."""


class InvalidChangeError(PoisonError):
    """A change of a tag or of knowledge contradicts the repository."""


class OutputTooLargeError(PoisonError):
    """An output of this record would not fit its topic."""


class RepeatedFailureError(PoisonError):
    """The record failed alone, again and again, while every dependency was healthy."""


class FatalRecordError(PoisonError):
    """Processes ended or hung while the record was at work, again and again."""


class AnswerError(StreamprocError):
    """A language model gave no answer to this question that can be used; others may fare better."""


class RefusalError(AnswerError):
    """The model declines to answer, or its provider withholds the answer."""


class UnreadableAnswerError(AnswerError):
    """The answer is not in the form that was asked for."""


class RejectedQuestionError(AnswerError):
    """The endpoint does not take the question, for instance because it is too long."""


class TransientError(StreamprocError):
    """The same attempt may succeed later."""

    retriable = True


class BusyError(TransientError):
    """A service answered that it cannot serve now."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        """How long it asks to be left alone; None: it does not say."""


class DeadlineError(TransientError):
    """One attempt took longer than it may."""


class NotFiniteError(TransientError):
    """A model answered with NaN or infinity: too large a number for half precision, or a broken file."""


class DependencyDownError(TransientError):
    """A dependency (Kafka, Milvus, Triton) cannot be reached; attempts do not count while it is down."""

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency} cannot be reached: {reason}")
        self.dependency = dependency
