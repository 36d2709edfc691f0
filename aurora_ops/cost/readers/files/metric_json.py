"""JSON of metrics: `aws cloudwatch get-metric-data` and `get-metric-statistics`, Prometheus' query_range, lists of records."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from aurora_ops.capacity.history import HistoryError
from aurora_ops.cost.readers.files import labels, numbers, tables, times
from aurora_ops.cost.readers.files.delimited import Sheet
from aurora_ops.cost.readers.files.found import Found, Series
from aurora_ops.cost.readers.files.labels import Label

DATA, STATISTICS, PROMETHEUS, RECORDS = (
    "get-metric-data's JSON",
    "get-metric-statistics' JSON",
    "Prometheus' JSON",
    "JSON records",
)


def read(file: str, text: str, timezone: str) -> Found:
    """The series of a JSON file, of one answer or of several behind each other; points may stand in any order.

    Raises
    ------
    HistoryError
        No JSON, another shape, an answer that says itself that it is not complete, or points that cannot be read.
    """
    kinds, found = [], []
    try:
        for answer in _answers(file, text):
            kind, series = _of_answer(file, answer, timezone)
            kinds.append(kind)
            found.extend(series)
    except (
        AttributeError,
        KeyError,
        IndexError,
        TypeError,
        RecursionError,
    ):  # a list where an object has to be, and the like
        raise _other_shape(file) from None
    if not found:
        raise HistoryError(
            f"{file} holds no points: nothing was measured, which is not the same as 0 ACU. Check the metric's dimensions and the times."
        )
    return Found(", ".join(dict.fromkeys(kinds)), tuple(_joined(found)))


def _answers(file: str, text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        try:
            answer, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise HistoryError(
                f"{file}, line {error.lineno}: this is no JSON ({error.msg}); it is cut or was edited. Ask for it again."
            ) from None
        yield answer
        while at < len(text) and text[at].isspace():
            at += 1


def _of_answer(file: str, answer: Any, timezone: str) -> tuple[str, list[Series]]:
    if isinstance(answer, dict):
        if isinstance(results := answer.get("MetricDataResults"), list):
            _check_labels(file, results)
            return DATA, [one for result in results for one in _of_data(file, answer, result, timezone)]
        if isinstance(answer.get("Datapoints"), list):
            return STATISTICS, list(_of_statistics(file, answer, timezone))
        data = answer.get("data")
        if isinstance(data, dict) and isinstance(data.get("result"), list):
            return PROMETHEUS, [one for result in data["result"] for one in _of_prometheus(file, result, timezone)]
    if isinstance(answer, list) and answer and all(isinstance(one, dict) for one in answer):
        if all("MetricDataResults" in one or "Datapoints" in one for one in answer):
            parts = [_of_answer(file, one, timezone) for one in answer]
            return parts[0][0], [one for _, series in parts for one in series]
        return RECORDS, list(_of_records(file, answer, timezone))
    raise _other_shape(file)


def _other_shape(file: str) -> HistoryError:
    return HistoryError(
        f"{file} is JSON of another shape; give the answer of aws cloudwatch get-metric-data or get-metric-statistics as it is."
    )


def _check_labels(file: str, results: list[dict[str, Any]]) -> None:
    ids: dict[str, list[str]] = {}
    for one in results:
        ids.setdefault(str(one.get("Label", "")), []).append(str(one.get("Id", "")))
    for label, of_label in ids.items():
        if len(set(of_label)) > 1:
            raise HistoryError(
                f"{file}: {' and '.join(of_label)} are all labelled {label!r}, so nothing tells of which instance each is. Give each query of "
                "get-metric-data a Label, the name of its instance."
            )


def _of_data(file: str, answer: dict[str, Any], result: dict[str, Any], timezone: str) -> Iterator[Series]:
    label, moments, values = str(result.get("Label", "")), result.get("Timestamps", []), result.get("Values", [])
    if answer.get("NextToken") or result.get("StatusCode", "Complete") != "Complete":
        raise HistoryError(
            f"{file}: CloudWatch says that the answer is not complete ({'NextToken' if answer.get('NextToken') else result['StatusCode']}), "
            "so what lacks would count as not measured. Ask for the rest, or for a shorter time."
        )
    for said in (*answer.get("Messages", ()), *result.get("Messages", ())):
        raise HistoryError(
            f"{file}: CloudWatch says with its answer {said.get('Code')}: {said.get('Value')}. What it left out would count as not measured; "
            "ask so that it says nothing."
        )
    if len(moments) != len(values):
        raise HistoryError(f"{file}: {label} has {len(moments)} times and {len(values)} values; ask for it again.")
    if not moments:
        return
    said, by_id = labels.read(label), labels.read(str(result.get("Id", "")))
    what = said if said.metric else Label(by_id.metric, label, said.statistic)
    yield _series(file, label, what, moments, values, timezone)


def _of_statistics(file: str, answer: dict[str, Any], timezone: str) -> Iterator[Series]:
    points, label = answer["Datapoints"], str(answer.get("Label", ""))
    if not points:
        return
    names = [name for name in points[0] if name not in ("Timestamp", "Unit", "ExtendedStatistics")]
    if not names:
        raise HistoryError(f"{file} holds no Average: ask with --statistics Average.")
    said = labels.read(label)
    for name in names:
        missing = [point for point in points if name not in point or "Timestamp" not in point]
        if missing:
            raise HistoryError(f"{file}: a point lacks {name} or its Timestamp ({missing[0]}); ask for it again.")
        yield _series(
            file, label, Label(said.metric, said.instance, name), [point["Timestamp"] for point in points],
            [point[name] for point in points], timezone, percent=points[0].get("Unit") == "Percent",
        )  # fmt: skip


def _of_prometheus(file: str, result: dict[str, Any], timezone: str) -> Iterator[Series]:
    names, points = result.get("metric", {}), result.get("values", [])
    if not points:
        return
    said = labels.read(str(names.get("__name__", "")))
    instance = next((str(value) for key, value in names.items() if "identifier" in key.lower()), "") or said.instance
    label = " ".join([str(names.get("__name__", "")), instance]).strip()
    yield _series(
        file,
        label,
        Label(said.metric, instance, said.statistic),
        [p[0] for p in points],
        [p[1] for p in points],
        timezone,
    )


def _of_records(file: str, records: list[dict[str, Any]], timezone: str) -> Iterator[Series]:
    header = list(dict.fromkeys(key for one in records for key in one))
    rows = [["" if one.get(key) is None else str(one[key]) for key in header] for one in records]
    yield from tables.read(Sheet(file, header, rows, list(range(1, len(rows) + 1)), {}, ","), timezone).series


def _series(
    file: str, label: str, what: Label, moments: list[Any], values: list[Any], timezone: str, *, percent: bool = False
) -> Series:
    places = list(range(1, len(moments) + 1))
    read_times = times.read(f"{file}, {label}", [str(one) for one in moments], places, timezone)
    texts = ["" if one is None or (isinstance(one, float) and math.isnan(one)) else str(one) for one in values]
    found = numbers.read(f"{file}, {label}", "value", texts, places)
    return Series(label, what, read_times.utc, found, None, percent, read_times.told)


def _joined(found: list[Series]) -> Iterator[Series]:
    """Answers of one series that were asked for one after the other are one."""
    same: dict[tuple[str, Label], list[Series]] = {}
    for one in found:
        same.setdefault((one.label, one.what), []).append(one)
    for parts in same.values():
        first = parts[0]
        if len(parts) == 1:
            yield first
        else:
            index = first.utc.append([one.utc for one in parts[1:]])
            values = np.concatenate([one.values for one in parts])
            yield Series(first.label, first.what, index, values, None, first.percent, first.told)
