"""Rows of a source that was read at another time than the copy is of, where nothing tells what changed in between.

What is equal is proved. What is not may have changed at the source, or be lost: it is counted as not proved, and is no finding.
"""

from dataclasses import replace

from aurora_ops.restore.proof.content.comparison import Compared, Comparison
from aurora_ops.restore.proof.content.rows import NOTHING, Content

_UNTOLD = "nothing tells whether the source changed since or the copy is wrong"


class Unmarked(Comparison):
    """Of one database. Only a row that carries a commit time after the restore point is a finding."""

    def _said(self, source: Content, proved: int, finding: str = "", reason: str = "", rows: int = -1) -> Compared:
        return replace(super()._said(source, proved, finding, reason, rows), told="changed since or differ")

    def _lost(self, source: Content) -> Compared:
        return self._said(source, 0, reason=f"not in the copy: {_UNTOLD}")

    def _rewritten(self, source: Content, copy: Content) -> Compared:
        was, now, rows = source.total, copy.total, max(source.total.rows, copy.total.rows)
        if (was.old, was.sum) == (now.old, now.sum):
            return self._said(source, now.old, rows=rows)
        return self._said(source, 0, reason=f"rewritten, and not equal: {_UNTOLD}", rows=rows)

    def _ranges(self, source: Content, copy: Content) -> Compared:
        proved = moved = 0
        for first in source.ranges.keys() | copy.ranges.keys():
            was, now = source.ranges.get(first, NOTHING), copy.ranges.get(first, NOTHING)
            same = now.old if (was.old, was.sum) == (now.old, now.sum) else 0
            proved, moved = proved + same, moved + max(was.rows, now.rows) - same
        return self._said(source, proved, rows=proved + moved)
