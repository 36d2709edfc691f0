"""Charts of a workload."""

from collections.abc import Mapping, Sequence

from aurora_ops.core import charts
from aurora_ops.core.display import Chart

_COLOURS = (charts.BLUE, charts.ORANGE, charts.YELLOW)


def over_time(committed_at: Mapping[str, Sequence[float]], seconds: float) -> Chart:
    """Commits a second, the applications stacked. `committed_at` and `seconds` count from the start; a last part of a second is left out."""
    whole = max(1, int(seconds))
    figure, axes = charts.canvas(3.0)
    below = [0] * whole
    for (application, moments), colour in zip(sorted(committed_at.items()), _COLOURS, strict=False):
        counts = [sum(second <= moment < second + 1 for moment in moments) for second in range(whole)]
        axes.bar(range(whole), counts, width=0.9, bottom=below, align="edge", color=colour, label=application)
        below = [one + more for one, more in zip(below, counts, strict=True)]
    charts.clean(axes, "y")
    charts.thousands(axes)
    charts.heading(axes, "Commits a second, by application")
    charts.name(axes, "seconds since the start", "commits a second")
    charts.legend(figure)
    each = "; ".join(f"{name} {len(moments) / seconds:.0f}" for name, moments in sorted(committed_at.items()))
    return Chart.of(f"commits a second: {each}; from {min(below)} to {max(below)} in one second", figure)
