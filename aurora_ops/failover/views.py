"""Tables and charts of a fail-over: the figures, and when the client was answered."""

from aurora_ops.core import charts
from aurora_ops.core.display import Chart, Table
from aurora_ops.database.probe import Record
from aurora_ops.failover.client import Switchover

# Okabe and Ito's, which the colour-blind distinguish too.
_DONE, _FAILED, _GAP = "#0072b2", charts.ORANGE, "#fbe3d2"
_BEFORE_SECONDS = 1.0  # of calm that the picture shows


def figures(switchover: Switchover, stored: dict[int, str] | None, where: str) -> Table:
    """What the client met, in seconds after the call, and what became of its writes."""
    error = switchover.first_error
    seconds = [
        (
            f"first write that failed ({error.error if error else 'none did'})",
            error and error.ended - switchover.called,
        ),
        _back("writes are acknowledged again", switchover.back_seconds(switchover.writes)),
        _back("a reader answers at the reader endpoint again", switchover.back_seconds(switchover.reads)),
        ("DescribeDBClusters shows the new roles, and all available", switchover.swapped - switchover.called),
        ("longest time without an acknowledged write", switchover.gap_seconds),
        (
            "the same before the call: the grain of this measure",
            switchover.writes.before(switchover.called).gap_seconds(),
        ),
        ("longest time without an answer of a reader", switchover.reader_gap_seconds),
    ]
    counts = switchover.counts(stored)
    lost = f", {counts['writes_lost']} of {counts['writes_acknowledged']} lost" if "writes_lost" in counts else ""
    return Table(
        f"{switchover.gap_seconds:.2f} s without an acknowledged write{lost}: {switchover.to} took over from {switchover.old_writer}, {where}",
        ("what", "seconds", "number"),
        [(what, value, None) for what, value in seconds]
        + [(name.replace("_", " "), None, number) for name, number in counts.items()],
    )


def _back(what: str, seconds: float | None) -> tuple[str, float | None]:
    return (what if seconds is not None else f"{what}: not as long as it was watched", seconds)


def over_time(switchover: Switchover) -> Chart:
    """When writes and reads were answered, and when not, around the call."""
    figure, axes = charts.canvas(2.9)
    lanes = (
        ("writes, by the cluster endpoint", switchover.writes),
        ("reads, by the reader endpoint", switchover.reads),
    )
    for height, (_, record) in zip((1, 0), lanes, strict=True):
        _lane(axes, switchover, record, height)
    end = max(record.attempts[-1].ended for _, record in lanes) - switchover.called
    for moment, text in ((0.0, "call"), (switchover.swapped - switchover.called, "new roles shown")):
        axes.axvline(moment, color=charts.INK, linewidth=0.9, linestyle="--")
        axes.annotate(
            text, (moment, 1.92), (3, 0), textcoords="offset points", fontsize=9, color=charts.INK, va="center"
        )
    for colour, label in ((_DONE, "answered"), (_FAILED, "failed"), (_GAP, "longest time without an answer")):
        axes.plot([], [], color=colour, linewidth=6, label=label)
    axes.set_title(
        f"{switchover.to} takes over from {switchover.old_writer}", loc="left", fontsize=12, color=charts.INK
    )
    axes.set_yticks((1, 0), [name for name, _ in lanes])
    axes.set_ylim(-0.5, 2.1)  # the moments stand above the seconds of the gap
    axes.set_xlim(-_BEFORE_SECONDS, end)
    charts.name(axes, "seconds after the call", "client")
    charts.clean(axes, grid=None, hidden=("top", "right", "left"))
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return Chart.of(
        f"{switchover.gap_seconds:.2f} s without an acknowledged write, {switchover.reader_gap_seconds:.2f} s without an answer of a reader, "
        f"new roles shown after {switchover.swapped - switchover.called:.2f} s",
        figure,
    )


def _lane(axes, switchover: Switchover, record: Record, height: int) -> None:  # type: ignore[no-untyped-def]
    began, ended = (moment - switchover.called for moment in record.gap(since=switchover.called))
    axes.barh(height, ended - began, 0.8, began, color=_GAP, zorder=0)
    axes.annotate(
        f"{ended - began:.2f} s", ((began + ended) / 2, height + 0.47), ha="center", fontsize=9, color=_FAILED
    )
    for attempts, colour, length in ((record.answered, _DONE, 0.5), (record.failed, _FAILED, 0.3)):
        moments = [one.ended - switchover.called for one in attempts]
        axes.vlines(moments, height - length / 2, height + length / 2, color=colour, linewidth=1.1)
