"""Moments as people type them."""

from datetime import UTC, datetime

import pytest

from streamproc.cli.moment import moment_ms
from streamproc.errors import SettingsError

NOW = datetime(2025, 3, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2025-03-08T11:58:30+00:00"),
        ("30m", "2025-03-08T11:30:00+00:00"),
        ("2h", "2025-03-08T10:00:00+00:00"),
        ("7d", "2025-03-01T12:00:00+00:00"),
        ("1w", "2025-03-01T12:00:00+00:00"),
        ("2025-03-01", "2025-03-01T00:00:00+00:00"),
        ("2025-03-01T12:00+02:00", "2025-03-01T10:00:00+00:00"),
    ],
)
def test_ages_and_dates_are_understood(text, moment):
    assert moment_ms(text, NOW) == datetime.fromisoformat(moment).timestamp() * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2", "h", "-2h", "99999999999d", "2025-13-01"])
def test_anything_else_is_refused(text):
    with pytest.raises(SettingsError, match="is no moment"):
        moment_ms(text, NOW)
