"""What a proof recorded of its source, as data for a file and back: hashes, sums and counts. No row's contents, and no value of a property."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from aurora_ops.restore.baseline.file import Head
from aurora_ops.restore.proof.content.rows import Content, Sums
from aurora_ops.restore.proof.content.tables import Table
from aurora_ops.restore.proof.engine import Proof
from aurora_ops.restore.proof.limits import Limits
from aurora_ops.restore.proof.made_of.catalogs import Definitions, Key, Object
from aurora_ops.restore.proof.made_of.definitions import Reading
from aurora_ops.restore.proof.made_of.hashing import Hashing
from aurora_ops.restore.proof.made_of.sequences import Sequence
from aurora_ops.restore.proof.remembered import RememberedProof, no_source
from aurora_ops.restore.proof.rules import Answer

_UNREADABLE = "it could not be read when the baseline was recorded"
_UNASKED = "it could not be asked when the baseline was recorded"


def packed(proof: Proof, stored: dict[str, int], hashed: Hashing) -> dict[str, Any]:
    """Of a proof that was recorded around its second."""
    return {
        "stored": stored,
        "readings": [_reading(hashed.of_reading(one)) for one in proof.readings],
        "before": _contents(proof.before),
        "after": _contents(proof.after),
        "answers": {name: {rule: _answer(one) for rule, one in some.items()} for name, some in proof.answers.items()},
        "rules": {one.name: hashed(one.sql) for one in proof.limits.rules},
    }


def unpacked(head: Head, body: dict[str, Any], limits: Limits, until: datetime, *, timed: bool) -> RememberedProof:
    """What compares a copy of the second `until` with it. `timed`: commits carry their time on both sides."""
    return RememberedProof(
        no_source,
        head.databases,
        limits,
        timed=timed,
        to=head.to,
        readings=[_as_reading(one) for one in body["readings"]],
        before=_as_contents(body["before"]),
        after=_as_contents(body["after"]),
        answers={name: {rule: Answer(*one) for rule, one in some.items()} for name, some in body["answers"].items()},
        until=until,
        read_from=head.read_from,
        read_until=head.read_until,
        recorded_with_times=head.timed,
        hashed=Hashing(bytes.fromhex(head.salt)),
        rules_as_recorded=body["rules"],
        resource_id=head.resource_id,
    )


def _answer(one: Answer) -> Answer:
    """Without the first row that breaks the rule, and without a message that may quote a value."""
    missing = one.missing if not one.missing or one.missing.startswith(("relation ", "schema ")) else _UNASKED
    return one._replace(first="", missing=missing, unasked=_UNASKED if one.unasked else "")


def _reading(one: Reading) -> dict[str, Any]:
    return {
        "cluster": _definitions(one.cluster),
        "databases": {name: _definitions(found) for name, found in one.databases.items()},
        "sequences": {name: [asdict(each) for each in found.values()] for name, found in one.sequences.items()},
        "large_objects": one.large_objects,
        "began": one.began,
    }


def _definitions(found: Definitions) -> list[list[Any]]:
    return [[*key, one.name, one.properties, one.at, one.timed, one.passing] for key, one in found.items()]


def _contents(found: dict[str, dict[str, Content]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [_content(one) for one in some.values()] for name, some in found.items()}


def _content(one: Content) -> dict[str, Any]:
    return {
        "table": asdict(one.table),
        "step": one.step,
        "number": one.number,
        "ranges": [[first, *sums._replace(sum=int(sums.sum))] for first, sums in one.ranges.items()],
        "unreadable": _UNREADABLE if one.unreadable else "",
    }


def _as_reading(told: dict[str, Any]) -> Reading:
    return Reading(
        _as_definitions(told["cluster"]),
        {name: _as_definitions(found) for name, found in told["databases"].items()},
        {name: {one["label"]: Sequence(**one) for one in found} for name, found in told["sequences"].items()},
        {
            name: None if found is None else {int(number): one for number, one in found.items()}
            for name, found in told["large_objects"].items()
        },
        _as_time(told["began"]),
    )


def _as_definitions(told: list[list[Any]]) -> Definitions:
    return {
        Key(catalog, row): Object(name, properties, _as_time(at), timed, passing)
        for catalog, row, name, properties, at, timed, passing in told
    }


def _as_contents(told: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Content]]:
    found = {name: [_as_content(one) for one in some] for name, some in told.items()}
    return {name: {one.table.label: one for one in some} for name, some in found.items()}


def _as_content(told: dict[str, Any]) -> Content:
    raw = told["table"]
    columns, key = tuple((name, hashable) for name, hashable in raw["columns"]), tuple(raw["key"])
    table = Table(**raw | {"columns": columns, "key": key})
    ranges = {
        first: Sums(old, total, late, rows, _as_time(newest), _as_time(last))
        for first, old, total, late, rows, newest, last in told["ranges"]
    }
    return Content(table, told["step"], told["number"], ranges, told["unreadable"])


def _as_time(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told else None
