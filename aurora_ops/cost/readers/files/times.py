"""Columns of times: ISO 8601, seconds or milliseconds since 1970, dates by day or by month first; always UTC at the end."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from aurora_ops.capacity.history import HistoryError, zone

# Numbers since 1970 that mean a year from 2001 to 2100, by what they count.
_EPOCHS = (("seconds", "s", 1e9, 4.1e9), ("milliseconds", "ms", 1e12, 4.1e12), ("microseconds", "us", 1e15, 4.1e15),
           ("nanoseconds", "ns", 1e18, 4.1e18))  # fmt: skip
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
_EXCEL_DAYS = (36_000, 73_000)  # 1998 to 2099
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ,]+(.*))?", re.IGNORECASE)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4}|\d{2})(?:[T ,]+(.*))?", re.IGNORECASE)
_JAPANESE = re.compile(
    r"(\d{4})年(\d{1,2})月(\d{1,2})日(?:\([月火水木金土日]\))?\s*(?:(\d{1,2})[時:](\d{1,2})(?:分|$|:)?(?:(\d{1,2})秒?)?)?"
)
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2})(?:[.,](\d+))?)?\s*([ap]\.?m\.?)?\s*(.*)", re.IGNORECASE)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(0\d|1[0-4]):?(\d{2})?(?:\s*\(.*\))?")
# Abbreviations that mean one offset; CST and its like mean several.
_ZONES = {"z": "+00:00", "utc": "+00:00", "gmt": "+00:00", "jst": "+09:00"}


class Times(NamedTuple):
    """Times in UTC, and in words how they were written."""

    utc: pd.DatetimeIndex
    told: str


def looks_like_time(cell: str) -> bool:
    """Whether a cell could be a moment."""
    cell = cell.strip()
    return bool(
        _YEAR_FIRST.fullmatch(cell) or _YEAR_LAST.fullmatch(cell) or _JAPANESE.fullmatch(cell) or _epoch([cell]) or re.search(r"[A-Za-z]{3}.*\d{4}.*\d:\d\d", cell)
    )  # fmt: skip


def read(file: str, cells: Sequence[str], lines: Sequence[int], timezone: str, *, in_utc: bool = False) -> Times:
    """The moments of a column. `timezone` says where times without an offset were written; `in_utc` that the column's name says UTC.

    An hour that the clocks of `timezone` repeat is told by the order of the rows.

    Raises
    ------
    HistoryError
        A time that cannot be read, could be two days, or has no offset while `timezone` is empty.
    """
    if unit := _epoch(cells):
        name, code = unit
        moments = pd.to_datetime(
            np.array([float(cell) for cell in cells]) * {"s": 1e3, "ms": 1, "us": 1e-3, "ns": 1e-6}[code],
            unit="ms",
            utc=True,
        )
        return Times(pd.DatetimeIndex(moments).round("ms"), f"times in {name} since 1970, UTC")
    if cells and all(
        cell.endswith(("Z", "+00:00")) and cell[:2] == "20" for cell in cells
    ):  # the most usual form, and all at once
        moments = pd.to_datetime(list(cells), format="ISO8601", utc=True, errors="coerce")
        if not moments.isna().any():
            return Times(pd.DatetimeIndex(moments), "times with an offset")
    found = [_iso(file, cell, line) for cell, line in zip(_days_first(file, cells, lines), lines, strict=True)]
    aware = [bool(offset) for _, offset in found]
    if all(aware):
        texts = [text + offset for text, offset in found]
        return Times(_moments(file, texts, cells, lines, utc=True), "times with an offset")
    if any(aware):
        lacks = aware.index(False)
        raise HistoryError(
            f"{file}, line {lines[lacks]}: {cells[lacks]} has no offset and others have one, so it could mean any hour; write it as the others."
        )
    local = _moments(file, [text for text, _ in found], cells, lines, utc=False)
    if in_utc:
        return Times(local.tz_localize("UTC"), "times in UTC, as the column's name says")
    if not timezone:
        raise HistoryError(
            f"{file}, line {lines[0]}: {cells[0]} has no offset, so it could mean any hour. Say where it was written with the parameter "
            'timezone, such as timezone="Asia/Tokyo" or "UTC".'
        )
    zone(timezone)
    try:
        return Times(
            local.tz_localize(timezone, ambiguous="infer", nonexistent="raise").tz_convert("UTC"),
            f"times without an offset, taken as of {timezone}",
        )
    except (ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise HistoryError(
            f"{file}: a local time of {timezone} does not exist, or stands for two hours, on a day when the clocks change "
            f"({reason}). Export in UTC or with offsets."
        ) from None


def _epoch(cells: Sequence[str]) -> tuple[str, str] | None:
    if not cells or not all(_NUMBER.fullmatch(cell.strip()) for cell in cells):
        return None
    least, most = min(map(float, cells)), max(map(float, cells))
    return next(((name, code) for name, code, low, high in _EPOCHS if low <= least and most <= high), None)


def _moments(file: str, texts: list[str], cells: Sequence[str], lines: Sequence[int], *, utc: bool) -> pd.DatetimeIndex:
    moments = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=utc)
    if moments.isna().any():
        wrong = int(np.flatnonzero(moments.isna())[0])
        raise _unreadable(file, cells[wrong], lines[wrong])
    return pd.DatetimeIndex(moments)


def _days_first(file: str, cells: Sequence[str], lines: Sequence[int]) -> list[str]:
    """Dates that end in the year, turned round. Which number is the day must follow from the column itself."""
    parts = [_YEAR_LAST.fullmatch(cell.strip()) for cell in cells]
    if not any(parts):
        return [cell.strip() for cell in cells]
    dated = [(match, line) for match, line in zip(parts, lines, strict=True) if match]
    first = any(int(match[1]) > 12 for match, _ in dated)
    second = any(int(match[3]) > 12 for match, _ in dated)
    dots = all(match[2] == "." for match, _ in dated)
    if first and second:
        wrong = next(line for match, line in dated if int(match[3]) > 12)
        raise HistoryError(
            f"{file}, line {wrong}: days and months change places within the file, so no date is certain; export dates as 2026-11-23."
        )
    if not (first or second or dots):
        unsure, line = dated[0]
        raise HistoryError(
            f"{file}, line {line}: {unsure[0]} could be the {unsure[1]}. of month {unsure[3]} or the other way round, and no date in the file decides it. "
            "Export dates as 2026-11-23, or a span with a day after the 12th."
        )
    day, month = (1, 3) if first or dots else (3, 1)
    turned = []
    for match, cell in zip(parts, cells, strict=True):
        if match is None:
            turned.append(cell.strip())
        else:
            year = match[4] if len(match[4]) == 4 else f"20{match[4]}"
            turned.append(f"{year}-{match[month]:0>2}-{match[day]:0>2} {match[5] or ''}".strip())
    return turned


def _iso(file: str, cell: str, line: int) -> tuple[str, str]:
    """A time in ISO 8601 without its offset, and the offset; empty where it has none."""
    if japanese := _JAPANESE.fullmatch(cell):
        year, month, day, hour, minute, second = japanese.groups()
        return f"{year}-{month:0>2}-{day:0>2}T{hour or 0:0>2}:{minute or 0:0>2}:{second or 0:0>2}", ""
    dated = _YEAR_FIRST.fullmatch(cell)
    if dated is None:
        return _in_words(file, cell, line)
    year, month, day, clock = dated.groups()
    found = _CLOCK.fullmatch(clock or "00:00")
    if found is None:
        raise _unreadable(file, cell, line)
    hour, minute, second, fraction, half, rest = found.groups()
    if half:
        hour = str(int(hour) % 12 + (12 if half.lower().startswith("p") else 0))
    offset = _offset(rest.strip())
    if offset is None or (minute is None and not half):
        raise _unreadable(file, cell, line)
    text = f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute or '00'}:{second or '00'}"
    return f"{text}.{fraction[:9]}" if fraction else text, offset


def _in_words(file: str, cell: str, line: int) -> tuple[str, str]:
    """Dates with the month's name, such as 02-Nov-2026 12:00 or Mon, 02 Nov 2026 12:00:00 GMT."""
    if not re.search(r"[A-Za-z]{3}", cell):
        if _NUMBER.fullmatch(cell) and _EXCEL_DAYS[0] <= float(cell) <= _EXCEL_DAYS[1]:
            raise HistoryError(
                f"{file}, line {line}: {cell} is how Excel counts days, without a zone; format the column as text such as 2026-11-23T14:05:00Z."
            )
        raise _unreadable(file, cell, line)
    try:
        moment = pd.to_datetime(cell)
    except (ValueError, TypeError):
        raise _unreadable(file, cell, line) from None
    offset = moment.strftime("%z")
    return moment.replace(tzinfo=None).isoformat(), f"{offset[:3]}:{offset[3:5]}" if offset else ""


def _offset(text: str) -> str | None:
    """The offset that ends a time, as +09:00; empty if there is none, None if it cannot be read."""
    if not text or text.lower() in _ZONES:
        return _ZONES.get(text.lower(), "")
    if match := _OFFSET.fullmatch(text):
        return f"{match[1]}{match[2]}:{match[3] or '00'}"
    return None


def _unreadable(file: str, cell: str, line: int) -> HistoryError:
    return HistoryError(
        f"{file}, line {line}: {cell!r} is a time that cannot be read; write it as 2026-11-23T14:05:00Z."
    )
