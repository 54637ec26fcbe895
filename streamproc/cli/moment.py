"""Moments as people type them: an age ("2h") or a date."""

import re
from datetime import UTC, datetime, timedelta

from streamproc.errors import SettingsError

__all__ = ["moment_ms"]

_AGE = re.compile(r"^(\d+)([smhdw])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_ms(text: str, now: datetime) -> int:
    """Read a moment, as milliseconds since 1970.

    Args:
        text: ``30m``, ``2h``, ``7d`` before ``now``, or a date or time in ISO 8601 (UTC unless it says otherwise).
        now: the present.

    Raises:
        SettingsError: it is neither.
    """
    try:
        if age := _AGE.match(text):
            moment = now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{text!r} is no moment: give an age such as 30m, 2h or 7d, or a date such as 2025-03-01T12:00."
        ) from None
    return int(moment.timestamp() * 1000)
