"""How a database stands to a folder of files: applied, pending, contradicted, and what differs. Read only; as lines or as JSON."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psycopg

from aurora_ops.core.display import Chart, Pictured, Verdict, mask
from aurora_ops.schema import fingerprint, ledger
from aurora_ops.schema.catalog import Difference, compare, summary
from aurora_ops.schema.files import not_taken, read
from aurora_ops.schema.ledger import Applied, counted

_DRAWN = 25  # tables that are shown


@dataclass(frozen=True)
class Status:
    """One database beside one folder."""

    database: str
    directory: str
    applied: tuple[Applied, ...]
    pending: tuple[str, ...]
    edited: tuple[str, ...]  # after they were applied
    missing: tuple[str, ...]  # applied, and not in the folder
    late: tuple[str, ...]  # new, with a number before an applied one
    not_taken: tuple[str, ...]  # SQL files that lie deeper
    catalog: str  # "equal", "differs", or why it was not compared
    difference: Difference
    others: str  # what stands there that is not the files'
    ledgers: tuple[str, ...]  # of other tools

    @property
    def verdict(self) -> Verdict:
        """FAIL where files or database contradict the ledger; SKIP where nothing says what the database must be; else PASS."""
        if self.edited or self.missing or self.late or self.catalog == "differs":
            return "FAIL"
        return "PASS" if self.catalog == "equal" else "SKIP"

    def as_json(self) -> str:
        """All of it, for programs."""
        difference = {
            "added": self.difference.added,
            "changed": [{"expected": old, "there": new} for old, new in self.difference.changed],
            "gone": self.difference.gone,
        }
        return json.dumps({"verdict": self.verdict} | asdict(self) | {"difference": difference}, ensure_ascii=False, indent=2)  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{self.verdict} {self.database} beside {self.directory}: catalog {self.catalog}"]
        lines += [
            f"applied  {one.name}  {one.applied_at} by {one.applied_by}{', recorded without being run' if one.recorded else ''}"
            for one in self.applied
        ]
        for word, names in (
            ("pending", self.pending), ("edited after it was applied", self.edited), ("applied, and not in the folder", self.missing),
            ("new, before one that is applied", self.late), ("not taken, for it lies deeper", self.not_taken), ("left alone", self.ledgers),
        ):  # fmt: skip
            lines += [f"{word}  {name}" for name in names]
        lines += [f"left alone  {self.others}"] if self.others else []
        lines += [
            f"{_THERE[verb]}  {name}: {new or old}{f' (expected {old})' if old and new else ''}"
            for verb, name, old, new in self.difference.rows
        ]
        return mask("\n".join(lines))


_THERE = {"adds": "unexpected", "changes": "other", "removes": "missing"}


def read_status(connection: psycopg.Connection, directory: Path, shown: str) -> Status:
    """Look at files, ledger and catalog.

    Raises
    ------
    SchemaFilesError
        The folder's files cannot be read as meant.
    """
    known, applied = read(directory), ledger.entries(connection)
    standing = ledger.standing(known, {one.version: (one.name, one.sha256) for one in applied})
    compared = compare(connection, directory)
    nothing = Difference((), (), ())
    if compared.expected is None:
        catalog, difference = "not compared: no catalog.txt beside the files", nothing
    elif standing.pending:
        catalog, difference = "not compared: not all files are applied", nothing
    else:
        difference = compared.difference
        catalog = "differs" if difference else "equal"
    others = (*compared.others, *compared.unaccounted)
    return Status(
        connection.info.dbname,
        shown,
        tuple(applied),
        tuple(file.name for file in standing.pending),
        standing.edited,
        standing.missing,
        standing.late,
        tuple(not_taken(directory)),
        catalog,
        difference,
        f"{summary(others)} of others" if others else "",
        compared.tools,
    )


def read_standing(connection: psycopg.Connection) -> Pictured:
    """What each table is made of, the largest first: what files of others made is in it too."""
    entries = fingerprint.catalog(connection).entries
    kinds = ("column", "index", "foreign key", "constraint")
    made = {
        one.name: Counter(part.kind for part in entries if part.part_of == one.name)
        for one in entries
        if one.kind == "table"
    }
    shown = sorted(made, key=lambda name: (-made[name].total(), name))[:_DRAWN]
    told = ", ".join(counted(sum(one[kind] for one in made.values()), kind) for kind in kinds)
    return Pictured(
        f"{counted(len(made), 'table')}: {told}",
        ("table", "columns", "indexes", "foreign keys", "other constraints"),
        [(name, *(made[name][kind] for kind in kinds)) for name in shown],
        draw=partial(_draw, {name: made[name]["column"] for name in shown}),
    )


def _draw(columns: Mapping[str, float]) -> Chart:
    from aurora_ops.core import charts

    return charts.bars("Columns of each table", columns, "columns")
