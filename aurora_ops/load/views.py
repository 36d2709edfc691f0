"""Charts of database load: who worked or waited over time, and on which statements.

One class keeps one colour everywhere (Okabe and Ito's palette, distinct for the colour-blind too); Lock is hatched as well.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, MinuteLocator
from matplotlib.patches import Patch

from aurora_ops.core import charts
from aurora_ops.core.display import Chart, Table, count
from aurora_ops.load.model import CLASSES, Load, Statement
from aurora_ops.load.tables import percent, share

COLOURS = {
    "CPU": "#009e73",
    "Commit": "#f0c929",
    "IO": "#0072b2",
    "Lock": "#d55e00",
    "LWLock": "#cc79a7",
    "IPC": "#7b5ea7",
    "Client": "#56b4e9",
    "Timeout": "#a6761d",
    "Other": "#b0b0b0",
}
_HATCH = {"Lock": "////"}
_BEYOND = "on CPU beyond the vCPUs"
_NO_PROCESSOR = "#8b1a1a"
_BUCKETS = (1, 5, 10, 15, 30, 60, 300, 900, 3600, 14400, 86400)
_SHOWN = 120  # buckets over the width: finer is noise
PANELS = 6  # instances drawn: more would not be told apart
_NO_DATA = "no data"


def over_time(loads: Sequence[Load]) -> Chart:
    """AAS by wait class over time, stacked, under the line of vCPUs: an instance a panel, all on one scale.

    What was not sampled stays empty and dotted grey. Of more than `PANELS` instances the busiest are drawn, and the caption
    says how many are not.
    """
    shown = _busiest(loads)
    first = shown[0]
    seconds = next(
        s for s in _BUCKETS if s >= first.period_seconds and len(first.total) * first.period_seconds / s <= _SHOWN
    )
    frames = [load.every(seconds) for load in shown]
    present = [name for name in CLASSES if any(frame[name].sum() > 0 for frame in frames)]
    figure = charts.blank(4.3 if len(shown) == 1 else 1.1 + 2.3 * len(shown))
    panels = figure.subplots(len(shown), sharex=True, sharey=True, squeeze=False)[:, 0]
    lines: dict[str, Artist] = {}
    for axes, load, frame in zip(panels, shown, frames, strict=True):
        lines |= _panel(axes, load, frame, seconds, present)
        by = f", {load.part} alone" if load.part else " by what they did or waited for" if load is first else ""
        axes.set_title(
            f"Active sessions of {load.instance} ({load.role}){by}", loc="left", fontsize=12, color=charts.INK
        )
    label = f"active sessions, average of {_span(seconds)}"
    panels[0].set_ylabel(label) if len(shown) == 1 else figure.supylabel(label, fontsize="medium")
    top = max(float(frame[["peak", "vcpu"]].max().max()) if load.has_data else 1.0 for load, frame in zip(shown, frames, strict=True))  # fmt: skip
    panels[0].set_ylim(0, max(1.0, top) * 1.05)
    panels[-1].set_xlabel(f"UTC, {first.total.index[0] - pd.Timedelta(seconds=first.period_seconds):%Y-%m-%d}")
    _clock(panels[-1], len(first.total) * first.period_seconds)

    share = {name: f"  {percent(first.share(name))}" if len(shown) == 1 else "" for name in present}
    handles: list[Artist] = [
        Patch(facecolor=COLOURS[n], hatch=_HATCH.get(n), edgecolor="#ffffff", label=f"{n}{share[n]}")
        for n in reversed(present)
    ]
    handles += [line for label, line in lines.items() if label != _NO_DATA]
    handles += [line for label, line in lines.items() if label == _NO_DATA]
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=9, handlelength=1.6)
    hidden = (
        f"; not drawn: {count(len(loads) - len(shown), 'instance')} with less load" if len(loads) > len(shown) else ""
    )
    return Chart.of("\n".join(_caption(load, seconds) for load in shown) + hidden, figure)


def _busiest(loads: Sequence[Load]) -> list[Load]:
    """At most `PANELS` of them, in their own order: the writer first."""
    ranked = sorted(loads, key=lambda load: load.average if load.has_data else -1.0, reverse=True)[:PANELS]
    return [load for load in loads if any(load is one for one in ranked)]


def _caption(load: Load, seconds: int) -> str:
    if not load.has_data:
        return f"{load.instance}: no data"
    beyond = f"; {load.beyond_vcpus.mean():.2f} on CPU beyond the vCPUs" if load.beyond_vcpus.sum() > 0 else ""
    shares = ", ".join(f"{n} {load.classes[n].mean():.2f}" for n in CLASSES if load.classes[n].sum() > 0)
    return f"{load.instance}: {load.average:.2f} AAS on average, peak {load.peak:.0f}; by class: {shares}{beyond}; {_span(seconds)} a bar"


def _panel(axes: Axes, load: Load, frame: pd.DataFrame, seconds: int, present: list[str]) -> dict[str, Artist]:
    """Draw one instance; what has to be explained in the legend, by its label."""
    # Points carry the end of what they stand for; a bar is drawn over it. UTC, and matplotlib is not asked about zones.
    ends = frame.index.tz_localize(None).to_numpy()
    width = np.timedelta64(seconds, "s")
    starts, bottom = ends - width, np.zeros(len(frame))
    edges = np.append(starts, ends[-1:])

    def bars(low: Any, high: Any, **style: Any) -> None:
        """One shape for all bars of a class: a hundred of their own take a second to draw."""
        low, high = (np.append(one, one[-1:]) for one in (low, high))
        axes.fill_between(edges, low, high, step="post", linewidth=0, **style)

    for name in present:
        height = frame[name].fillna(0.0).to_numpy()
        bars(bottom, bottom + height, facecolor=COLOURS[name], hatch=_HATCH.get(name), edgecolor="#ffffff80")
        bottom = bottom + height
    beyond = (frame["CPU"] - frame["vcpu"]).clip(lower=0.0).fillna(0.0).to_numpy()
    drawn: dict[str, Artist] = {}
    if beyond.any():  # CPU lies at the bottom of the stack, so what has no processor begins at the line of vCPUs
        vcpu = frame["vcpu"].fillna(0.0).to_numpy()
        bars(vcpu, vcpu + beyond, facecolor="none", edgecolor=_NO_PROCESSOR, hatch="xx")
        drawn[_BEYOND] = Patch(facecolor=COLOURS["CPU"], edgecolor=_NO_PROCESSOR, hatch="xx", label=_BEYOND)
    label = "busiest second" if load.period_seconds == 1 else "busiest period"
    peaks = np.append(frame["peak"].iloc[:1], frame["peak"])
    style: dict[str, Any] = {"where": "pre", "color": "#888888", "linewidth": 0.9, "label": label}
    drawn |= {label: axes.step(np.append(starts[:1], ends), peaks, **style)[0]}
    drawn |= {str(line.get_label()): line for line in _capacity(axes, load, frame, starts, ends)}
    for left, right in _gaps(frame["total"].isna().to_numpy(), starts, ends):
        axes.axvspan(left, right, facecolor="#f4f4f4", edgecolor="#c4c4c4", hatch="..", linewidth=0)
        drawn[_NO_DATA] = Patch(facecolor="#f4f4f4", edgecolor="#c4c4c4", hatch="..", label=_NO_DATA)
    axes.set_xlim(starts[0], ends[-1])
    charts.clean(axes, "y", grid_width=0.6)
    return drawn


def _capacity(axes: Any, load: Load, frame: pd.DataFrame, starts: Any, ends: Any) -> list[Artist]:
    if not frame["vcpu"].notna().any():
        return []
    simulated = " (simulated)" * load.capacity_simulated
    values = np.append(frame["vcpu"].iloc[:1], frame["vcpu"])
    lines = axes.step(
        np.append(starts[:1], ends),
        values,
        where="pre",
        color="#000000",
        linewidth=1.8,
        label=f"vCPUs at the time{simulated}",
    )
    if load.ceiling_vcpu is not None and load.ceiling_acu is not None:
        label = f"vCPUs at {load.ceiling_acu:g} ACU{simulated}"
        lines.append(
            axes.axhline(load.ceiling_vcpu, color="#000000", linewidth=1.2, linestyle=(0, (4, 3)), label=label)
        )
    return list(lines)


def _gaps(missing: Any, starts: Any, ends: Any) -> list[tuple[Any, Any]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], missing.astype(int), [0]))))
    return [(starts[a], ends[b - 1]) for a, b in list(pairwise(edges))[::2]]


def _clock(axes, seconds: int) -> None:  # type: ignore[no-untyped-def]
    step = next((m for m in (1, 2, 5, 10, 15, 30) if seconds <= m * 60 * 12), None)
    if seconds >= 180 and step:
        axes.xaxis.set_major_locator(MinuteLocator(byminute=range(0, 60, step)))
    form = "%H:%M:%S" if seconds < 180 else "%H:%M" if seconds <= 86400 else "%m-%d %H:%M"
    axes.xaxis.set_major_formatter(DateFormatter(form))


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"


def instances(loads: Sequence[Load]) -> Table:
    """Every instance a row: load, processors and what its sessions waited for most. Unknown cells stay empty."""
    rows = []
    for load in loads:
        wait = load.biggest_wait
        known = (load.average, load.p99, load.peak, percent(load.share("CPU"))) if load.has_data else (None,) * 4
        vcpu, acu = (None if series.isna().all() else float(series.mean()) for series in (load.vcpu, load.capacity_acu))
        most = f"{wait} {percent(load.share(wait))}" if wait else ""
        rows.append((load.instance, load.role, *known, vcpu, acu, most, percent(load.coverage)))
    seen = [load for load in loads if load.has_data]
    total = sum(load.average for load in seen)
    writer = sum(load.average for load in seen if load.role == "writer")
    told = f"{total:.2f} AAS together, {percent(writer / total)} on the writer" if total else "no load"
    return Table(
        f"{count(len(loads), 'instance')}: {told}",
        ("instance", "role", "AAS", "p99", "peak", "on CPU", "vCPUs", "ACU", "waits most for", "sampled"),
        rows,
    )


def by_statement(load: Load, most: int = 8) -> Chart:
    """The heaviest statements as bars, each divided by what its sessions waited for."""
    shown = load.statements[:most]
    figure, axes = charts.canvas(0.9 + 0.5 * max(1, len(shown)))
    frame = [statement.by_class for statement in shown]
    left = np.zeros(len(shown))
    present = [name for name in CLASSES if any(row[name] >= 0.01 * load.average for row in frame)]
    for name in present:
        values = np.array([row[name] for row in frame])
        axes.barh(
            range(len(shown)),
            values,
            left=left,
            height=0.62,
            color=COLOURS[name],
            hatch=_HATCH.get(name),
            edgecolor="#ffffff80",
            linewidth=0,
            label=name,
        )
        left += values
    for row, statement in enumerate(shown):
        axes.text(left[row], row, f"  {_figures(load, statement)}", va="center", fontsize=9, color=charts.INK)
    axes.set_yticks(range(len(shown)), [f"{statement.title}  {statement.id[:4]}" for statement in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, max(left.max(initial=0.0) * 1.6, 0.1))
    charts.name(axes, "average active sessions over the window", "statement")
    axes.set_title("Which statements the sessions worked on", loc="left", fontsize=12, color=charts.INK)
    charts.clean(axes, grid=None)
    if present:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9, handlelength=1.6)
    top = "; ".join(f"{s.title} {s.load_aas:.2f} AAS ({share(load, s):.0%})" for s in shown[:3])
    return Chart.of(f"heaviest statements: {top}" if shown else "no statement was active", figure)


def _figures(load: Load, statement: Statement) -> str:
    parts = [f"{statement.load_aas:.2f} AAS", percent(share(load, statement))]
    if statement.calls_per_second is not None:
        parts.append(f"{_short_number(statement.calls_per_second)}/s")
    if statement.latency_ms is not None:
        parts.append(f"{_short_number(statement.latency_ms)} ms")
    return " · ".join(parts)


def _short_number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}" if value >= 0.01 else "<0.01"
