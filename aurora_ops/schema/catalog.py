"""What a folder's files amount to: `catalog.txt` beside them, and how a database differs from it.

A line is one object. What others made in the same database is told apart: it stood there before the first file, or the ledger of
another tool is there. It is counted and left out of the verdict; what nobody accounts for is a finding.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from aurora_ops.core.display import Check, Report
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.schema import fingerprint, foreign_ledgers, ledger
from aurora_ops.schema.failures import SchemaChangedError
from aurora_ops.schema.files import read
from aurora_ops.schema.fingerprint import Entry
from aurora_ops.schema.ledger import counted

SCHEMA = PROJECT_ROOT / "sql" / "schema"
CATALOG = "catalog.txt"  # `aurora-ops schema catalog` writes it
_NUMBERED = ("table", "column", "index", "foreign key")
_NOT_LOOKED_AT = "not owners, grants, comments and settings"
_KINDS = (
    "aggregate", "column", "constraint", "extension", "foreign key", "function", "index", "materialized view", "policy", "procedure", "rule",
    "schema", "sequence", "table", "trigger", "type", "view",
)  # fmt: skip
_PARTS = {"column", "constraint", "foreign key", "index", "policy", "rule", "trigger"}
_LINE = re.compile(rf'(?P<kind>{"|".join(_KINDS)}) (?P<name>(?:"(?:""|[^"])*"|[^":]|:(?! ))*): (?P<definition>.*)')


@dataclass(frozen=True)
class Difference:
    """From one catalog to another, as lines. A changed object has its line before and after."""

    added: tuple[str, ...]
    changed: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]

    @classmethod
    def between(cls, before: Iterable[str], after: Iterable[str]) -> "Difference":
        """What has to happen to `before` to become `after`.

        >>> Difference.between(["column a.b: integer", "table a: permanent"], ["column a.b: bigint", "view v: SELECT 1"])
        adds 1 view; changes 1 column; removes 1 table
        """
        old, new = set(before), set(after)
        left, right = {_key(line): line for line in old - new}, {_key(line): line for line in new - old}
        return cls(
            tuple(right[one] for one in sorted(right.keys() - left.keys(), key=_rank)),
            tuple((left[one], right[one]) for one in sorted(left.keys() & right.keys(), key=_rank)),
            tuple(left[one] for one in sorted(left.keys() - right.keys(), key=_rank)),
        )

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.gone)

    def __repr__(self) -> str:
        parts = (
            ("adds", self.added),
            ("changes", [new for _, new in self.changed]),
            ("removes", self.gone),
        )
        return "; ".join(f"{verb} {_by_kind(lines)}" for verb, lines in parts if lines) or "no difference"

    @property
    def rows(self) -> tuple[tuple[str, str, str, str], ...]:
        """Verb, object, before and after, for a table."""
        return (
            *(("adds", _named(line), "", _defined(line)) for line in self.added),
            *(("changes", _named(new), _defined(old), _defined(new)) for old, new in self.changed),
            *(("removes", _named(line), _defined(line), "") for line in self.gone),
        )

    def words(self, at_most: int = 3) -> str:
        """For a verdict: what is missing, is other than it should be, or is unexpected."""
        said = [
            *(f"missing: {_short(line)}" for line in self.gone),
            *(f"other than expected: {_short(new)} (expected {_short(_defined(old))})" for old, new in self.changed),
            *(f"unexpected: {_short(line)}" for line in self.added),
        ]
        more = f"; and {len(said) - at_most} more" if len(said) > at_most else ""
        return "; ".join(said[:at_most]) + more


def _short(text: str, longest: int = 160) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _rank(key: tuple[str, str]) -> tuple[bool, str, str]:
    return (key[0] in _PARTS, *key)  # a table before its columns


def _key(line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    return (match["kind"], match["name"]) if match else ("", line)


def _named(line: str) -> str:
    return " ".join(_key(line)).strip()


def _defined(line: str) -> str:
    match = _LINE.fullmatch(line)
    return match["definition"] if match else ""


def _by_kind(lines: Iterable[str]) -> str:
    number = Counter(_key(line)[0] or "object" for line in lines)
    order = {kind: n for n, kind in enumerate((*_NUMBERED, *_KINDS)[::-1])}
    return ", ".join(counted(number[kind], kind) for kind in sorted(number, key=lambda kind: -order.get(kind, -1)))


def expected(directory: Path) -> tuple[str, ...] | None:
    """The lines of the folder's catalog; None where it has none."""
    path = directory / CATALOG
    return tuple(path.read_text(encoding="utf-8").splitlines()) if path.exists() else None


@dataclass(frozen=True)
class Compared:
    """A database beside a folder's catalog: what is the files' own, and what is others'."""

    expected: tuple[str, ...] | None
    own: tuple[Entry, ...]
    others: tuple[Entry, ...]  # stood there before the first file
    unaccounted: tuple[Entry, ...]  # came later, while another tool's ledger is there: whose they are is not known
    tools: tuple[str, ...]

    @property
    def difference(self) -> Difference:
        """From what the files amount to, to what is there."""
        return Difference.between(self.expected or (), map(str, self.own))


def compare(connection: psycopg.Connection, directory: Path) -> Compared:
    """Look at the database, and tell the files' objects from others'."""
    lines = expected(directory)
    wanted = {_key(line) for line in lines or ()}
    before, tools = ledger.found(connection), foreign_ledgers.recognised(connection)
    ours = wanted | ledger.made(connection)
    own, others, unaccounted = [], [], []
    for entry in fingerprint.catalog_within(connection).entries:
        whole = {(kind, entry.part_of) for kind in _KINDS} if entry.part_of else {ledger.key(entry)}
        if ours & (whole | {ledger.key(entry)}):
            own.append(entry)
        elif before & whole:
            others.append(entry)
        elif tools:
            unaccounted.append(entry)
        else:
            own.append(entry)
    return Compared(lines, tuple(own), tuple(others), tuple(unaccounted), tools)


def verify_catalog(connection: psycopg.Connection, directory: Path = SCHEMA) -> Report:
    """Compare tables, columns, indexes, constraints, functions … with what they must be, exactly. For a restored database too.

    What they must be stands in the folder's `catalog.txt`; without one there is nothing to compare with: SKIP, with what is there.
    """
    compared, checks = compare(connection, directory), []
    number = Counter(entry.kind for entry in compared.own)
    if compared.expected is not None:
        wanted = Counter(_key(line)[0] for line in compared.expected)
        for kind in _NUMBERED:
            agree = number[kind] == wanted[kind]
            detail = str(number[kind]) if agree else f"{number[kind]}, expected {wanted[kind]}"
            checks.append(Check.of(f"number of {counted(2, kind)[2:]}", agree, detail))
    checks += [
        _sound("all indexes are valid", compared.own, ("index",)),
        _sound("all constraints are validated and enforced", compared.own, ("foreign key", "constraint")),
    ]
    if compared.expected is None:
        there = ", ".join(counted(number[kind], kind) for kind in _NUMBERED)
        reason = f"no {CATALOG} beside the files says what they must be; there are {there}. `aurora-ops schema catalog` writes it"
        checks.append(Check("definitions", "SKIP", reason))
    else:
        said = f"all {len(compared.expected)} as in {_shown(directory)}/{CATALOG}: {_NOT_LOOKED_AT}"
        checks.append(Check.of("definitions", not compared.difference, compared.difference.words() or said))
    if compared.others:
        checks.append(
            Check("objects of others", "SKIP", f"{summary(compared.others)} stood there before the first file")
        )
    if compared.unaccounted:
        who = f"{summary(compared.unaccounted)} came later, by hand or by {', '.join(compared.tools)}"
        checks.append(Check("objects of unknown origin", "SKIP", who))
    return Report("schema", tuple(checks))


def _sound(name: str, own: Sequence[Entry], kinds: tuple[str, ...]) -> Check:
    looked_at = [entry for entry in own if entry.kind in kinds]
    unsound = ", ".join(entry.name for entry in looked_at if not entry.sound)
    if not looked_at:
        return Check(name, "SKIP", "there is none")
    return Check.of(name, not unsound, unsound or f"{len(looked_at)} looked at")


def summary(entries: Sequence[Entry]) -> str:
    """How many objects of which kind, without those that hang on a table: "3 tables, 1 view"."""
    return _by_kind(str(entry) for entry in entries if not entry.part_of) or counted(len(entries), "object")


def _shown(directory: Path) -> str:
    return "sql/schema" if directory == SCHEMA else directory.name


def write_catalog(connection: psycopg.Connection, directory: Path = SCHEMA) -> Path:
    """Record what this database is made of, others' objects left out, as what the folder's files must amount to. Review its difference before you commit it.

    Raises
    ------
    SchemaChangedError
        A file is not applied, or was edited since: the database is not what the files say.
    """
    if todo := ledger.pending(read(directory), ledger.history(connection)):
        raise SchemaChangedError(
            f"{todo[0].name} is not applied to this database, so it is not what the files amount to. Nothing was written. Load it first."
        )
    path = directory / CATALOG
    path.write_text("\n".join(str(entry) for entry in compare(connection, directory).own) + "\n", encoding="utf-8")
    return path
