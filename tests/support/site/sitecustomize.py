"""Python loads this at the start of every process that a test starts: see `_spare_processes_the_grammar` in conftest.py."""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
