"""Capacity history from a file as it is: says which format, metric, instance, statistic and zone it took, and refuses what could mean two things."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aurora_ops.capacity.history import History, HistoryError, of_samples
from aurora_ops.cost.readers.files import content, delimited, metric_json, parquet, tables
from aurora_ops.cost.readers.files.found import Found, Series
from aurora_ops.cost.readers.files.labels import AVERAGE, CAPACITY, CONNECTIONS, UTILIZATION

_LABELS_SHOWN = 6
_QUERY = re.compile(r"\s*SELECT\s", re.IGNORECASE)
_OF_INSTANCE = re.compile(r"\b(WHERE|GROUP\s+BY)\b.*DBInstanceIdentifier", re.IGNORECASE)
_FIRST = pd.Timestamp("2020-12-01", tz="UTC")  # the month of its first preview
_EXPORT = f"Export {CAPACITY} with the statistic Average"


def read(source: str | Path, *, timezone: str = "", ceiling_acu: float = 0.0) -> tuple[History, ...]:
    """The histories in a file, one for each instance of which it has a series; what was taken stands in their `origin`.

    `source` is a path; behind `#` it may name one series, by its label or instance, which is then taken to be the capacity.
    Times without an offset are of `timezone`, and refused if that is empty. `ceiling_acu` is what 100 % of ACUUtilization were,
    and 0 refuses that metric. Rows may be in any order; one that is there twice counts once, and twice with different values is an
    error. An empty cell and a missing row are gaps.

    Raises
    ------
    HistoryError
        No file, no series of capacity, or one that could be read in two ways.
    """
    path, wanted = parts(str(source))
    found = _found(content.read(path), timezone)
    chosen = _named(path, found, wanted) if wanted else _capacities(path, found)
    for one in chosen:
        if _QUERY.match(one.label) and not _OF_INSTANCE.search(one.label):
            raise HistoryError(
                f"{path.name} holds a query of Metrics Insights over every instance, {one.label!r}, whose average is the capacity of none. "
                "Name the instance with WHERE DBInstanceIdentifier, or ask for the metric itself."
            )
    instances = [one.what.instance for one in chosen]
    twice = next((name for name in instances if instances.count(name) > 1), "")
    if twice or (len(chosen) > 1 and "" in instances):
        raise HistoryError(
            f"{path.name} has {len(chosen)} series of {CAPACITY} ({_labels(chosen)}), and "
            + (f"two of them of {twice}" if twice else "does not say of which instance each is")
            + f'; name one as in source="{path.name}#{chosen[0].label}".'
        )
    return tuple(_history(path, found, one, ceiling_acu, alone=len(chosen) == 1) for one in chosen)


def parts(source: str) -> tuple[Path, str]:
    """The path, and what is named behind `#`; a file whose own name has one is found too.

    >>> parts("october.csv#prod-writer")
    (PosixPath('october.csv'), 'prod-writer')
    """
    if "#" in source and not Path(source).exists():
        path, _, name = source.rpartition("#")
        return Path(path), name
    return Path(source), ""


def _found(held: content.Content, timezone: str) -> Found:
    name = held.path.name
    if held.is_parquet:
        found = tables.read(parquet.read(held.path), timezone)
        return Found("Parquet", found.series)
    if held.text.lstrip()[:1] in "{[":
        found = metric_json.read(name, held.text, timezone)
    else:
        found = tables.read(delimited.read(name, held.text), timezone)
    return Found(f"{found.kind} in {held.encoding}", found.series) if held.encoding else found


def _named(path: Path, found: Found, wanted: str) -> list[Series]:
    chosen = [one for one in found.series if wanted in (one.label, one.what.instance)]
    if not chosen:
        raise HistoryError(f"{path.name} has no series {wanted!r}; it has {_labels(found.series)}.")
    several = [one for one in chosen if one.what.metric in (CAPACITY, UTILIZATION)] if len(chosen) > 1 else chosen
    chosen = several or chosen
    for one in chosen:
        if one.what.metric not in ("", CAPACITY, UTILIZATION) or one.what.statistic not in ("", AVERAGE):
            raise HistoryError(_what_it_is(path, one))
    return chosen


def _capacities(path: Path, found: Found) -> list[Series]:
    for metric in (CAPACITY, UTILIZATION):
        series = [one for one in found.series if one.what.metric == metric]
        chosen = [one for one in series if one.what.statistic in ("", AVERAGE)]
        averages = [one for one in chosen if one.what.statistic == AVERAGE]
        if chosen:
            return averages or chosen
        if series:
            raise HistoryError(_what_it_is(path, series[0]))
    unknown = [one for one in found.series if not one.what.metric]
    if unknown:
        raise HistoryError(
            f"{path.name} does not say what {_labels(unknown)} measures. If it is {CAPACITY} in ACU, say so as in "
            f'source="{path.name}#{unknown[0].label}", or call the column {CAPACITY}.'
        )
    raise HistoryError(_what_it_is(path, found.series[0]))


def _what_it_is(path: Path, one: Series) -> str:
    if one.what.metric in ("", CAPACITY, UTILIZATION):
        return f"{path.name} holds the {one.what.statistic} of {one.what.metric or one.label}, and a bill follows from the Average alone. {_EXPORT}."
    return f"{path.name} holds {one.what.metric}, which is no capacity, so it says nothing of a bill. {_EXPORT}."


def _labels(series: Sequence[Series]) -> str:
    names = [repr(one.label) for one in series]
    more = len(names) - _LABELS_SHOWN
    return ", ".join(names[:_LABELS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _history(path: Path, found: Found, one: Series, ceiling_acu: float, *, alone: bool) -> History:
    instance = one.what.instance or (one.label if not one.what.metric else path.stem)
    if (first := one.utc.min()) < _FIRST:
        raise HistoryError(
            f"{path.name} has a sample of {first}, before there was any Serverless v2: a time that was not set, or another form of time. Correct it."
        )
    values, unit = one.values, "ACU"
    if one.what.metric == UTILIZATION:
        values, unit = _of_percent(path, one, ceiling_acu), f"percent of {ceiling_acu:g} ACU"
    elif one.percent:
        raise HistoryError(
            f"{path.name}: {one.label} is in percent, and {CAPACITY} is in ACU: it is not certain which one it is. Export one of them as it is."
        )
    rows = pd.DataFrame({"capacity_acu": values}, index=pd.DatetimeIndex(one.utc, name="start_utc"))
    if one.seconds is not None:
        rows["seconds"] = one.seconds
    if (clients := _connections(found, one, alone)) is not None:
        rows["connections"] = clients.reindex(rows.index).to_numpy()
    rows = rows.reset_index().drop_duplicates().set_index("start_utc").sort_index()
    of = one.what.metric or f"{one.label}, taken to be {CAPACITY} as named"
    origin = f"{found.kind}: {of} ({one.what.statistic or 'no statistic named, taken as Average'}) in {unit} of {instance}, {one.told}"
    history = of_samples(instance, rows, origin)
    return history.told(f"{origin}, samples of {history.lengths}")


def _of_percent(path: Path, one: Series, ceiling_acu: float) -> np.ndarray:
    if not ceiling_acu:
        raise HistoryError(
            f"{path.name} holds {UTILIZATION}, percent of a ceiling that the file does not name. Say how many ACU 100 % were with the parameter "
            f"ceiling_acu, or export {CAPACITY}."
        )
    most = float(np.nanmax(one.values)) if np.isfinite(one.values).any() else 0.0
    if most > 100.5:
        raise HistoryError(
            f"{path.name}: {one.label} has {most:g} %, and {UTILIZATION} ends at 100; it is another metric."
        )
    percent: np.ndarray = np.minimum(one.values, 100) / 100 * ceiling_acu
    return percent


def _connections(found: Found, one: Series, alone: bool) -> pd.Series | None:
    """The connections of the same instance, where the file has them too."""
    same = [
        other for other in found.series
        if other.what.metric == CONNECTIONS and (alone or other.what.instance == one.what.instance)
    ]  # fmt: skip
    if len(same) != 1:
        return None
    series = pd.Series(same[0].values, index=same[0].utc)
    return series[~series.index.duplicated()]
