"""A drill on a copy-on-write clone: a rehearsal of the copy's making and checking. A clone shares its source's pages, so nothing of a backup is proved.

A clone is of a moment that nobody names, between the call and the moment in which it stands. What was committed in that time counts for neither side.
"""

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from aurora_ops.core.display import Line
from aurora_ops.restore.copies import CLONE, clock
from aurora_ops.restore.drill import Drill, DrillError
from aurora_ops.restore.evidence import of_drill
from aurora_ops.restore.proof import canaries
from aurora_ops.restore.proof.content.rows import EDGE

NOTE = "a rehearsal on a clone: nothing of a backup was proved"


@dataclass
class Rehearsal(Drill):
    """One rehearsal on one cluster: a drill that makes a clone in place of a restore."""

    note: ClassVar[str] = NOTE
    made_as: ClassVar[str] = CLONE
    needs_times: ClassVar[bool] = True
    what_is_made: ClassVar[str] = "a copy-on-write clone, of the moment in which it is made"

    @of_drill.kept("restore point")
    def mark(self) -> Line:
        """Write canary rows, and look at what the source is made of. There is no restore point yet."""
        self._require_start()
        with self._source_database("", read_only=False) as connection:
            self._write_canaries(connection)
            self.proof.record_before()
            time.sleep(2 * EDGE.total_seconds())  # rows of the last tenth of a second would count for neither side
        return Line(f"{canaries.CANARY_ROWS:,} canary rows committed; the clone is of the moment in which it is made")

    @of_drill.kept("restore")
    def restore(self) -> Line:
        """Clone, add an instance, run the first query; then read the source, and delete the canary rows there."""
        source = self._source()
        self.copy.restore(source, None, depth=self.kind)
        if self.copy.cloned_between is None:
            raise DrillError("a clone was made, and nothing tells when.")
        begun, over = self.copy.cloned_between
        self.restore_point = begun + (over - begun) / 2
        self.proof.limits = replace(self.proof.limits, edge=(over - begun) / 2 + EDGE)
        with self._source_database("", read_only=False) as connection:
            while clock(connection) < over + timedelta(seconds=0.5):
                time.sleep(0.1)
            self.proof.record_after(self.restore_point)
            self._delete_canaries(connection)
        return Line(f"cloned {source.identifier} beside itself and connected to it: {NOTE}")

    def result(self) -> dict[str, object]:
        """The numbers worth keeping: none of them is of a restore."""
        return super().result() | {"rehearsal": NOTE}
