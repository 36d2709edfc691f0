"""Whether a copy holds the rows that a baseline has of it, where the source cannot be asked any more: by the sums of ranges of pages.

The baseline was recorded at B and read until some time later; what it counts as old was committed before B and still there when it was read.
* A copy of B, or of any second until reading began, holds all of that. Less of it, or as many rows with another sum, is a finding.
* A copy of after the reading ended holds nothing of before B that the reading did not find. More, or as many with another sum, is a finding.
What differs otherwise was written, changed or deleted in between: it is counted as not proved.
"""

from dataclasses import dataclass, replace

from aurora_ops.restore.proof.content.comparison import Compared, Comparison
from aurora_ops.restore.proof.content.rows import NOTHING, Content, Sums
from aurora_ops.restore.proof.content.tables import Table


@dataclass
class Remembered(Comparison):
    """Of one database. `source` is None."""

    holds_all: bool = False  # the copy is of a second until which nothing of the baseline can have gone
    holds_no_more: bool = False  # it is of after the baseline was read

    def _told(self) -> str:
        return (
            "changed while the baseline was recorded"
            if self.holds_all
            else "were written or changed since the baseline"
        )

    def _said(self, source: Content, proved: int, finding: str = "", reason: str = "", rows: int = -1) -> Compared:
        return replace(super()._said(source, proved, finding, reason, rows), told=self._told())

    def _unexpected(self, table: Table) -> Compared:
        found = super()._unexpected(table)
        if found.finding or table.reason:
            return found
        return replace(found, reason="only in the copy: no table of this name is in the baseline")

    def _lost(self, source: Content) -> Compared:
        if self.holds_all:
            return super()._lost(source)
        return self._said(source, 0, reason="not in the copy: dropped or renamed since the baseline, or lost")

    def _rewritten(self, source: Content, copy: Content) -> Compared:
        """Rows lie elsewhere since: only the table as a whole can be compared."""
        proved, moved, finding = self._judged(source.total, copy.total)
        if self.trusted is not None:
            finding = ""  # without commit times only ranges that stood still tell
        if finding or proved:
            return self._said(source, proved, finding, rows=proved + moved)
        return self._said(source, 0, reason=f"rewritten since the baseline, and rows of it {self._told()}", rows=moved)

    def _ranges(self, source: Content, copy: Content) -> Compared:
        proved = moved = 0
        last = (source.number - 1) * source.step
        for first in sorted(source.ranges.keys() | copy.ranges.keys()):
            was, now = source.ranges.get(first, NOTHING), copy.ranges.get(first, NOTHING)
            trusted = self.trusted is None or first in self.trusted.get(source.table.label, set())
            same, others, finding = self._judged(was, now) if trusted else (0, max(was.rows, now.rows), "")
            if finding:
                where = f"pages {first} to {first + source.step - 1}" if first < last else f"page {first} and after"
                return self._said(source, 0, f"{finding} ({where})")
            proved, moved = proved + same, moved + others
        return self._said(source, proved, rows=proved + moved)

    def _judged(self, was: Sums, now: Sums) -> tuple[int, int, str]:
        """Rows that are proved, those that nothing tells of, and what is wrong with them."""
        rows = max(was.rows, now.rows) if self.holds_all else max(was.old, now.rows)
        if (was.old, was.sum) == (now.old, now.sum):
            return now.old, rows - now.old, ""
        if self.trusted is not None:
            return (
                0,
                0,
                f"{was.old:,} rows in the baseline, before and after its second, {now.old:,} in the copy, and they are not the same",
            )
        if was.old == now.old and (self.holds_all or self.holds_no_more):
            return 0, 0, f"{now.old:,} rows of before the baseline, as many as it has, but their contents differ"
        if now.old < was.old and self.holds_all:
            return 0, 0, f"{was.old:,} rows of before the baseline, {now.old:,} of them in the copy"
        if now.old > was.old and self.holds_no_more:
            return 0, 0, f"{now.old:,} rows of before the baseline, which has {was.old:,}"
        return 0, rows, ""
