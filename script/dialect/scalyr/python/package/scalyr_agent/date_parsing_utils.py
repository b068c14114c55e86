"""Reads times as RFC 3339 writes them."""

import calendar
import datetime
import re

_TIME = re.compile(
    r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))?$")


def rfc3339_to_datetime(string):
    """Returns the time as a datetime in UTC without a zone, None for a text that is no such time."""
    moment, fraction = _parse(string)
    return moment and moment.replace(microsecond=int(fraction[:6]))


def rfc3339_to_nanoseconds_since_epoch(string):
    """Returns the time in nanoseconds since 1970, None for a text that is no such time."""
    moment, fraction = _parse(string)
    return moment and calendar.timegm(moment.timetuple()) * 10 ** 9 + int(fraction)


def _parse(string):
    """Returns the time in whole seconds, and nine digits of what comes after them."""
    match = _TIME.match(string)
    if not match:
        return None, ""
    try:
        moment = datetime.datetime(*[int(part) for part in match.groups()[:6]])
        if match.group(8):
            offset = datetime.timedelta(hours=int(match.group(9)), minutes=int(match.group(10)))
            moment += -offset if match.group(8) == "+" else offset
    except (ValueError, OverflowError):
        return None, ""
    return moment, (match.group(7) or "")[:9].ljust(9, "0")
