"""How fast a year is planned: medians of five within one run, as ratios, which hold on a noisy machine; seconds do not.

The yardstick is what one would write first for a thousand ceilings: a bare `numpy.clip(x, low, high).sum()` each.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aurora_ops.billing import bill as cost
from aurora_ops.billing import price_book
from aurora_ops.billing.usage import InstanceUse, Usage
from aurora_ops.capacity import simulation
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.rules import MEASURED, STEP_ACU, grown, lowest_after_tick, needed_acu, shrunk
from aurora_ops.cost import bands as cost_bands
from aurora_ops.cost import forecast, plan_charts, plan_tables
from aurora_ops.cost import plan as planning

RUNS = 5
YEAR_MINUTES = 525_600
RANGES = [AcuRange(floor / 2, (floor + more) / 2) for floor in range(1, 26) for more in range(1, 41)]
SLICE = 50_000


def median(step: Callable[[], object]) -> float:
    """Median seconds of five runs after one that is not counted."""
    times = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def beside(step: Callable[[], object], yardstick: Callable[[], object]) -> tuple[float, float, float]:
    """Median seconds of both, and the median ratio of runs one after the other, which others on the machine disturb alike."""
    pairs = []
    for _ in range(RUNS + 1):
        moments = [time.perf_counter()]
        for one in (step, yardstick):
            one()
            moments.append(time.perf_counter())
        pairs.append((moments[1] - moments[0], moments[2] - moments[1]))
    steps, yardsticks = zip(*pairs[1:], strict=True)
    ratios = [one / other for one, other in pairs[1:]]
    return statistics.median(steps), statistics.median(yardsticks), statistics.median(ratios)


def processor_seconds(step: Callable[[], object]) -> float:
    """Median seconds that the processor worked in five runs: what is linear, also on a machine that others use too."""
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        step()
        times.append(time.process_time() - started)
    return statistics.median(times)


def line(words: str, figure: str) -> None:
    """One figure."""
    print(f"{words:<66}{figure:>12}", flush=True)  # noqa: T201


def year(minutes: int = YEAR_MINUTES) -> np.ndarray:
    """A demand in ACU with days, weeks and noise."""
    random, minute = np.random.default_rng(1), np.arange(minutes)
    daily, weekly = np.sin(minute / 1440 * 2 * np.pi), np.sin(minute / 10_080 * 2 * np.pi)
    return np.clip(4 + 3 * daily + weekly + random.gamma(1, 1, minutes), 0, None)


def plan(demand: Demand, ranges: list[AcuRange]) -> list[float | None]:
    """Simulate and bill: USD of each range, with a reader that follows the writer."""
    book, usage = price_book.book("ap-northeast-1"), Usage(100, 52.56, 118, 10)
    found = simulation.outcomes(demand, ranges)
    return [
        cost.estimate("year", [InstanceUse("writer", hours), InstanceUse("reader", hours)], usage, book).usd
        for hours in found.acu_hours.tolist()
    ]


def plain(demand: list[float], acu_range: AcuRange) -> float:
    """ACU-hours by the same rules in a plain loop over minutes, as lean as Python allows."""
    floor, ceiling, lowest = max(acu_range.floor, STEP_ACU), acu_range.ceiling, lowest_after_tick()
    rest = acu_range.rest()
    reached = warm = floor
    to_tick, peak, halves = MEASURED.tick_seconds, 0.0, 0
    for acu in demand:
        need = needed_acu(acu)
        peak = need if to_tick >= MEASURED.quiet_seconds else max(peak, need)
        to_tick -= 60.0
        if to_tick <= 0:
            reached = shrunk(reached, max(rest, min(max(peak, floor), ceiling)), lowest)
            warm, to_tick = min(warm, reached), to_tick + MEASURED.tick_seconds
        reached, warm = grown(reached, warm, min(max(need, floor), ceiling), 60.0)
        halves += int(reached * 2.0 + 1e-9)
    return halves * STEP_ACU * 60.0 / 3600


def notebook() -> None:
    """All that the cells of cost-per-environment compute and draw."""
    found = planning.plan()
    bands = cost_bands.bands(found)
    shown = [cost_bands.band_table(bands), planning.report(found), plan_charts.range_chart(found)]
    views = ("bottom_line", "profile_table", "price_table", "per_environment", "against_spec", "line_items", "what_to_do")  # fmt: skip
    shown += [getattr(plan_tables, view)(found) for view in views]
    for one in shown:
        repr(one)


def main() -> None:
    """Print one line for each figure."""
    demand = year()
    whole = Demand(demand, 60.0)
    started = time.perf_counter()
    simulation.outcomes(Demand(demand[:10], 60.0), RANGES[:1])
    line("numba: import, and compile or load from its cache, once", f"{time.perf_counter() - started:.2f} s")
    fast, clip, ratio = beside(
        lambda: plan(whole, RANGES), lambda: [np.clip(demand, one.floor, one.ceiling).sum() for one in RANGES]
    )
    line(f"{YEAR_MINUTES:,} minutes x {len(RANGES):,} ranges, simulated and billed", f"{fast:.2f} s")
    line(f"{len(RANGES):,} bare numpy.clip(x, low, high).sum()", f"{clip:.2f} s")
    line(
        f"ratio, processor {'with' if _has_avx512() else 'WITHOUT'} AVX-512 (at most 4 asked with)",
        f"{ratio:.2f}",
    )

    part = demand[:SLICE].tolist()
    slow = median(lambda: plain(part, RANGES[500])) * (YEAR_MINUTES / SLICE) * len(RANGES)
    line(f"plain Python, extrapolated from {SLICE:,} minutes of one range", f"{slow:.0f} s")
    line("ratio (at least 300 asked)", f"{slow / fast:.0f}")
    found = simulation.outcomes(Demand(demand[:SLICE], 60.0), RANGES[::97])
    equal = found.acu_hours.tolist() == [plain(part, one) for one in RANGES[::97]]
    line(f"the same ACU-hours to the last bit, {len(RANGES[::97])} ranges", str(equal))

    for words, sizes in (
        ("minutes", [(YEAR_MINUTES // 4 * k, len(RANGES)) for k in (1, 2, 4)]),
        ("ranges", [(YEAR_MINUTES, len(RANGES) // 4 * k) for k in (1, 2, 4)]),
    ):
        times = [
            processor_seconds(lambda m=minutes, r=ranges: simulation.outcomes(Demand(demand[:m], 60.0), RANGES[:r]))  # type: ignore[misc]
            for minutes, ranges in sizes
        ]
        line(
            f"processor time for 1 : 2 : 4 times as many {words}", " : ".join(f"{one / times[0]:.2f}" for one in times)
        )
    days = np.random.default_rng(1).gamma(9, 3, (365, 2))
    usage, book = Usage(100, 52.56, 118, 10), price_book.book("ap-northeast-1")
    line(
        "1,000 bootstrap years of a writer and a reader, billed (at most 5 asked)",
        f"{median(lambda: forecast.forecast(days, usage, book, days=365)):.3f} s",
    )
    line("cost-per-environment without kernel and imports (at most 1.5 asked)", f"{median(notebook):.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line("peak memory of this whole process (at most 300 asked)", f"{peak:.0f} MiB")
    if not equal:
        sys.exit("the fast way and the plain loop differ")


def _has_avx512() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512f" in cpuinfo.read_text()


if __name__ == "__main__":
    main()
