"""Whether a copy holds the rows that its source held at the restore point; a FAIL names keys, and what moved since is counted.

Three statements, and each can fail:
* a row that the source holds unchanged since before T is in the copy, with the same content;
* no row of the copy was committed after T;
* the copy holds at least as many rows of before T as the source held unchanged when it was read.
Rows that only the copy has were changed or deleted at the source since T: nobody can say any more what they were. They count as not proved,
and `bounds` tells whether so many can have been.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import psycopg

from aurora_ops.restore.proof.content.pace import ReadingStoppedError
from aurora_ops.restore.proof.content.rows import NOTHING, Content, Reader, Sums, pieces
from aurora_ops.restore.proof.content.tables import Table

_NAMED = 3  # keys in a finding


@dataclass(frozen=True)
class Compared:
    """One table. `proved` of `rows` are shown to be equal; a `finding` is about the copy; `reason` says why nothing was proved."""

    database: str
    table: Table
    rows: int  # that the copy ought to have, as far as is known
    proved: int
    finding: str = ""
    reason: str = ""
    unread: int = 0  # rows in ranges that were not drawn, as far as is known
    told: str = "changed since"  # of rows that are not proved
    gone: int = 0  # rows of before the restore point that only the copy has
    bound: str = ""  # what bounds the rows that are not proved

    @property
    def label(self) -> str:
        """With the database."""
        return f"{self.database}: {self.table.label}"


@dataclass
class Comparison:
    """Of one database: the source's reader and the copy's, and what was read of the source, be it now or at the restore point."""

    database: str
    source: Reader | None  # None where it is gone: then a baseline is compared with (remembered.py)
    copy: Reader
    recorded: dict[str, Content]
    trusted: dict[str, set[int]] | None = None  # without commit times: ranges with equal sums before and after T
    restored: dict[str, Content] = field(default_factory=dict)  # what was read of the copy

    def run(self) -> list[Compared]:
        """Table by table. Reads the copy once, and ranges that differ once more on both sides."""
        there = {table.label: table for table in self.copy.tables()}
        self.restored = self.copy.read_like(self.recorded, there)
        found = [
            self._table(content, there.get(label), self.restored.get(label)) for label, content in self.recorded.items()
        ]
        found += [self._unexpected(table) for label, table in there.items() if label not in self.recorded]
        return found

    def _unexpected(self, table: Table) -> Compared:
        if table.reason:
            return Compared(self.database, table, table.rows, 0, reason=table.reason)
        read = self.copy.read([table])[table.label].total
        finding = f"{read.late:,} rows are later than the restore point" if read.late else ""
        reason = "" if finding else "only in the copy: dropped or renamed at the source since"
        return Compared(self.database, table, read.rows, 0, finding, reason)

    def _table(self, source: Content, table: Table | None, copy: Content | None) -> Compared:
        of, total = source.table, source.total
        if of.reason or source.unreadable:
            why = of.reason or f"the source cannot be read: {source.unreadable}"
            return self._said(source, 0, reason=why)
        if table is None:
            if total.old == 0 and total.rows:
                return self._said(source, 0, reason="made at the source since: not in the copy")
            return self._lost(source)
        if copy is None or copy.unreadable:
            return self._said(source, 0, f"cannot be read in the copy: {copy.unreadable if copy else table.reason}")
        if copy.total.late:
            late = f"{copy.total.late:,} rows are later than the restore point{self._name_late(copy)}"
            return self._said(source, 0, late)
        if of.file != table.file or (self.source and self._file_now(of) != of.file):
            return self._rewritten(source, copy)
        return self._ranges(source, copy)

    def _lost(self, source: Content) -> Compared:
        return self._said(source, 0, f"the table is missing in the copy, with {source.total.old:,} rows")

    def _rewritten(self, source: Content, copy: Content) -> Compared:
        """Rows lie elsewhere since (VACUUM FULL, TRUNCATE, REFRESH): only the table as a whole can be compared."""
        was, now, rows = source.total, copy.total, max(source.total.rows, copy.total.rows)
        if (was.old, was.sum) == (now.old, now.sum):
            return self._said(source, now.old, rows=rows)
        if now.old < was.old:
            lost = f"{was.old:,} rows of before the restore point at the source, {now.old:,} in the copy"
            return self._said(source, 0, lost)
        return self._said(source, 0, reason="rewritten at the source since, and rows of it changed", rows=rows)

    def _ranges(self, source: Content, copy: Content) -> Compared:
        proved = moved = gone = 0
        of, last = source.table, (source.number - 1) * source.step
        for first in sorted(source.ranges.keys() | copy.ranges.keys()):
            was, now = source.ranges.get(first, NOTHING), copy.ranges.get(first, NOTHING)
            end = first + source.step if first < last else None
            trusted = self.trusted is None or first in self.trusted.get(of.label, set())
            if trusted and (was.old, was.sum) == (now.old, now.sum):
                proved, moved = proved + now.old, moved + max(was.rows, now.rows) - now.old
            elif not trusted:
                moved += now.rows
            elif now.old < was.old or self.trusted is not None:
                lost = f"{was.old:,} rows of before the restore point, {now.old:,} of them in the copy"
                return self._said(source, 0, f"{lost}{self._missing(of, copy.table, first, end)}")
            else:
                try:
                    same, others, finding = self._rows(of, copy.table, first, end)
                except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                    return self._said(source, proved, reason="dropped or altered at the source while it was compared")
                except (ReadingStoppedError, psycopg.errors.QueryCanceled) as error:
                    return self._said(source, proved, reason=f"not compared row by row: {_plainly(error)}")
                if finding and self._file_now(of) != of.file:
                    return self._rewritten(source, copy)
                if finding:
                    return self._said(source, 0, finding)
                proved, moved, gone = proved + same, moved + others, gone + now.old - same
        return replace(self._said(source, proved, rows=proved + moved), gone=gone)

    def _said(self, source: Content, proved: int, finding: str = "", reason: str = "", rows: int = -1) -> Compared:
        of = source.total.rows if rows < 0 else rows
        if reason and not source.ranges:
            of = source.table.rows
        unread = round(of * (source.number / len(source.ranges) - 1)) if source.ranges else 0
        return Compared(self.database, source.table, of, proved, finding, reason, unread)

    def _file_now(self, table: Table) -> int:
        return self.source.file(table) if self.source else 0

    def _rows(self, source: Table, copy: Table, first: int, end: int | None) -> tuple[int, int, str]:
        """Row by row: how many are the same, how many only the copy has, and the keys of those that it lacks."""
        if self.source is None:
            return 0, 0, ""
        same = gone = 0
        for start, stop in pieces(first, end, max(source.pages, copy.pages)):
            kept = Counter(hashed for hashed, _ in self.source.hashes(source, start, stop, old=True))
            back = Counter(hashed for hashed, _ in self.copy.hashes(copy, start, stop, old=False))
            missing = kept - back
            if missing:
                names = self.source.keys(source, start, stop, list(missing), _NAMED, old=True)
                return 0, 0, f"rows are missing or differ: {_listed(names, missing.total())}"
            same += kept.total()
            gone += (back - kept).total()
        return same, gone, ""

    def _missing(self, source: Table, copy: Table, first: int, end: int | None) -> str:
        """The keys, where the source still holds those rows."""
        try:
            _, _, said = self._rows(source, copy, first, end)
        except (
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedColumn,
            psycopg.errors.QueryCanceled,
            ReadingStoppedError,
        ):
            said = ""
        return f"; {said}" if said else ""

    def _name_late(self, copy: Content) -> str:
        for first, sums in sorted(copy.ranges.items()):
            if sums.late:
                end = first + copy.step if first < (copy.number - 1) * copy.step else None
                late = [hashed for hashed, is_late in self.copy.hashes(copy.table, first, end, old=False) if is_late]
                return (
                    f": {_listed(self.copy.keys(copy.table, first, end, late[:_NAMED], _NAMED, old=False), len(late))}"
                )
        return ""


def _plainly(error: Exception) -> str:
    return " ".join(str(error).split())


def _listed(names: list[str], number: int) -> str:
    more = f" and {number - len(names):,} more" if number > len(names) else ""
    return ", ".join(names) + more


def steady(before: dict[str, Content], after: dict[str, Content]) -> dict[str, set[int]]:
    """Ranges of pages whose sums are the same before and after the restore point: they were so at it."""

    def same(label: str, first: int, sums: Sums) -> bool:
        earlier = before.get(label)
        return bool(earlier and earlier.table.file == after[label].table.file and earlier.ranges.get(first) == sums)

    return {
        label: {first for first, sums in content.ranges.items() if same(label, first, sums)}
        for label, content in after.items()
    }
