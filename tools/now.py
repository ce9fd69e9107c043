"""The date and time."""

import difflib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from crewmix import ToolResult, tool


@tool
def now(timezone: str = "UTC") -> str | ToolResult:
    """The current date, time and weekday.

    Args:
        timezone: A name of the tz database, e.g. Europe/Berlin.
    """
    try:
        zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(timezone[:60], available_timezones(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "names look like Europe/Berlin"
        return ToolResult(f"now: there is no time zone {timezone[:60]!r}; {hint}", ok=False)
    time = datetime.now(zone)
    return f"{time.isoformat(timespec='seconds')} ({time:%A}, {timezone})"
