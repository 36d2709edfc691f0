"""From a sheet to series: which column holds the times, which the values, and which tell one series from another."""

from collections.abc import Sequence

import numpy as np

from aurora_ops.capacity.history import HistoryError
from aurora_ops.cost.readers.files import labels, numbers, times
from aurora_ops.cost.readers.files.delimited import Sheet
from aurora_ops.cost.readers.files.found import Found, Series
from aurora_ops.cost.readers.files.labels import Label

_TIMES = {"timestamp", "timestamps", "time", "starttime", "start", "startutc", "datetime", "ts", "timestamputc", "timeutc", "eventtime", "date", "measuretime",
          "日時", "時刻", "日付"}  # fmt: skip
_CLOCKS = {"time", "hour", "時刻", "clock"}
_DATES = {"date", "day", "日付"}
_SECONDS = {"seconds", "period", "periodseconds"}
_METRIC = {"metric", "metricname", "measurename", "measure", "field"}
_STATISTIC = {"stat", "statistic", "statistics", "aggregation"}
_UNIT = {"unit", "units"}
_ASIDE = _METRIC | _STATISTIC | _UNIT | _SECONDS | {"account", "region", "namespace", "id"}


def read(sheet: Sheet, timezone: str) -> Found:
    """The series of a sheet. A column of names makes one series of each name.

    Raises
    ------
    HistoryError
        No column of times or none of values, or cells that cannot be read.
    """
    columns = {
        name: [row[at] for row in sheet.rows]
        for at, name in enumerate(sheet.header)
        if name or any(row[at] for row in sheet.rows)
    }
    stamps, used, in_utc = _stamps(sheet, columns)
    rest = {name: cells for name, cells in columns.items() if name not in used}
    values = [name for name, cells in rest.items() if labels.plain(name) not in _ASIDE and _is_value(name, cells)]
    if not values:
        raise HistoryError(
            f"{sheet.file} has no column of numbers beside its times; it has {', '.join(columns)}. Export the values too."
        )
    keys = [name for name in rest if name not in values and labels.plain(name) not in _UNIT | _SECONDS]
    groups: dict[tuple[str, ...], list[int]] = {}
    for position in range(len(sheet.rows)):
        groups.setdefault(tuple(rest[key][position] for key in keys), []).append(position)
    found = []
    for group, positions in groups.items():
        lines = [sheet.lines[one] for one in positions]
        read_times = times.read(sheet.file, [stamps[one] for one in positions], lines, timezone, in_utc=in_utc)
        told = dict(zip(keys, group, strict=True))
        for name in values:
            cells = [rest[name][one] for one in positions]
            found.append(
                Series(
                    _label(name, told), _what(sheet, name, told), read_times.utc, numbers.read(sheet.file, name, cells, lines),
                    _lengths(sheet, rest, positions), _is_percent(rest, cells, positions, name), read_times.told,
                )
            )  # fmt: skip
    return Found(sheet.kind, tuple(found))


def _stamps(sheet: Sheet, columns: dict[str, list[str]]) -> tuple[list[str], set[str], bool]:
    """The cells of the times, the columns they are from, and whether their name says UTC."""
    plain = {name: labels.plain(name) for name in columns}
    date = next((name for name, word in plain.items() if word in _DATES), None)
    clock = next((name for name, word in plain.items() if word in _CLOCKS and name != date), None)
    if date and clock and all(":" in cell and len(cell) <= 15 for cell in columns[clock]):
        return [f"{day} {hour}" for day, hour in zip(columns[date], columns[clock], strict=True)], {date, clock}, False
    named = [name for name, word in plain.items() if word in _TIMES or word.removesuffix("utc") in _TIMES]
    named.sort(key=lambda name: plain[name] in _DATES)
    name = next(iter(named), None) or next(
        (name for name, cells in columns.items() if times.looks_like_time(next(filter(None, cells), ""))), None
    )
    if name is None:
        raise HistoryError(
            f"{sheet.file} has no column of times; it has {', '.join(columns)}. Call it timestamp, and write times as 2026-11-23T14:05:00Z."
        )
    if times.looks_like_time(name):
        raise HistoryError(
            f"{sheet.file}, line {sheet.lines[0] - 1}: the file has no header, so what it holds is not known. Add a first line such as timestamp,ServerlessDatabaseCapacity."
        )
    return columns[name], {name}, plain[name].endswith("utc")


def _is_value(name: str, cells: Sequence[str]) -> bool:
    if labels.read(name).metric in (labels.CAPACITY, labels.UTILIZATION):
        return True  # what is no number in it is an error, and not a name
    known = [cell for cell in cells if not numbers.is_nothing(cell)]
    return sum(map(numbers.is_number, known[:50])) * 2 > len(known[:50]) or not known


def _label(name: str, told: dict[str, str]) -> str:
    return " ".join([name, *(value for value in told.values() if value)])


def _what(sheet: Sheet, name: str, told: dict[str, str]) -> Label:
    """What a column is, by its name, by the names beside its values, and by the console's lines."""
    metric, instance, statistic = labels.read(name)
    identity = []
    for key, value in told.items():
        word, said = labels.plain(key), labels.read(value)
        if word in _METRIC:
            metric = metric or said.metric or value
            instance = instance or said.instance
        elif word in _STATISTIC:
            statistic = statistic or labels.statistic_of(value) or value
        elif value and word not in _ASIDE:
            metric, statistic = metric or said.metric, statistic or said.statistic
            identity.append(said.instance or ("" if said.metric else value))
    if sheet.about:
        at = sheet.header.index(name) - 1

        def line(word: str) -> str:
            cells = sheet.about.get(word, [])
            return cells[at] if at < len(cells) else ""

        said = labels.read(line("label"))
        metric = metric or said.metric or labels.read(line("metric")).metric
        statistic = labels.statistic_of(line("stat") or line("statistic")) or statistic
        instance = instance or said.instance or ("" if said.metric else line("label"))
    return Label(metric, " ".join(filter(None, [*identity, instance])), statistic)


def _lengths(sheet: Sheet, rest: dict[str, list[str]], positions: list[int]) -> "np.ndarray | None":
    """Of the column `seconds`, as our own files have it."""
    name = next((name for name in rest if labels.plain(name) in _SECONDS), None)
    if name is None:
        return None
    found = numbers.read(
        sheet.file, name, [rest[name][one] for one in positions], [sheet.lines[one] for one in positions]
    )
    return found if np.all(found > 0) else None


def _is_percent(rest: dict[str, list[str]], cells: list[str], positions: list[int], name: str) -> bool:
    unit = next((column for column in rest if labels.plain(column) in _UNIT), None)
    said = unit is not None and any(rest[unit][one].lower() in ("percent", "%") for one in positions)
    return said or "%" in name or "percent" in name.lower() or numbers.is_percent(cells)
