"""How long the list of runs takes for 5,000 runs: with nothing remembered, and after one run more, as every run leaves it.

Seconds, with the machine's load beside them; the size of the page; and what a text search of the same files takes, for a measure of the disk.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aurora_ops.runner import collection, index

RUNS, TIMES, GOAL_SECONDS = 5_000, 5, 2.0
STATUSES = ("passed", "passed", "passed", "failed", "refused")


def leave(folder: Path, number: int, pages: list[str]) -> None:
    """What a run leaves of which the list is made, of the size that it has."""
    name = pages[number % len(pages)]
    own = folder / f"2026{1 + number // 2000:02}{1 + number // 80 % 25:02}T{number:06}Z_sandbox_{name}"
    own.mkdir()
    merit = index.MERITS.get(name)
    content = {
        "name": name, "target": "sandbox", "status": STATUSES[number % len(STATUSES)], "started_at": f"2026-01-01T00:{number % 60:02}:00Z",
        "seconds": 12.5, "line": f"{number % 9} of 9 checks — rows: {number} of 9,000 are not in the copy", "parameters": {"environment": "dev"},
        "result": {merit[0]: number} if merit else {},
        "checks": [{"name": f"check {at}", "verdict": "PASS", "detail": "looked at " * 5} for at in range(40)],
    }  # fmt: skip
    (own / "result.json").write_text(json.dumps(content))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of one call: on the clock, and of the processor."""
    started, computed = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - computed


def median(measured: list[tuple[float, float]]) -> str:
    """Of both."""
    clock, processor = (statistics.median(part) for part in zip(*measured, strict=True))
    return f"{clock:6.2f} s, {processor:.2f} of the processor"


def main() -> None:
    """Print the medians."""
    pages = [entry.name for entry in collection.collection()]
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as name:
        folder = Path(name)
        for number in range(RUNS):
            leave(folder, number, pages)

        def read_all() -> None:
            for path in folder.glob("*/result.json"):
                path.read_bytes()

        def cold() -> None:
            (folder / index.MEMORY).unlink(missing_ok=True)
            index.rebuild(folder)

        def one_more() -> None:
            index.rebuild(folder)

        first, plain, later = [], [], []
        for time_ in range(TIMES):
            plain.append(seconds(read_all))
            first.append(seconds(cold))
            leave(folder, RUNS + time_, pages)
            later.append(seconds(one_more))
        size = (folder / index.PAGE).stat().st_size
    lines = [
        f"{RUNS:,} runs, medians of {TIMES}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors",
        f"reading the files    {median(plain)}",
        f"nothing remembered   {median(first)}",
        f"after one run more   {median(later)}  (goal {GOAL_SECONDS:.0f})",
        f"the page             {size / 1e6:6.2f} MB",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
