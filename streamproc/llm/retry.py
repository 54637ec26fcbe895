"""When a failed request is sent again."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from streamproc.errors import BusyError, TransientError

__all__ = ["Retry", "retry_after_seconds"]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how soon a request that failed for the moment is sent again.

    Attributes:
        attempts: in all.
        first_seconds: bound of the first pause; every further one is twice as long.
        longest_seconds: bound of all pauses that we choose ourselves.
        patience_seconds: an endpoint that asks for a longer pause is not waited for.
    """

    attempts: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    patience_seconds: float = 600.0

    def pause_seconds(self, attempt: int, error: TransientError, chance: random.Random) -> float | None:
        """The pause after this failed attempt (1, 2, …); None: give up.

        What the endpoint asks for, with a little added so that not all come back at once; else between half of
        the bound and the bound.
        """
        if attempt >= self.attempts:
            return None
        asked = error.retry_after_seconds if isinstance(error, BusyError) else None
        if asked is not None:
            return None if asked > self.patience_seconds else asked + chance.uniform(0.0, 1.0)
        bound = min(self.longest_seconds, self.first_seconds * 2.0 ** (attempt - 1))
        return bound * chance.uniform(0.5, 1.0)


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """What a ``Retry-After`` header asks for, as seconds or as a date; None: nothing that can be read."""
    if header is None:
        return None
    try:
        return max(0.0, float(int(header)))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds())
