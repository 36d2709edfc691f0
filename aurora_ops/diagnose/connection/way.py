"""The way from the client into the database as a picture: each look a step, coloured by what was seen."""

import textwrap
from collections.abc import Sequence

from aurora_ops.core import charts
from aurora_ops.core.display import Chart
from aurora_ops.diagnose.connection.looks import Look

_COLOURS = {"PASS": "#2e7d5b", "FAIL": "#b3261e", "SKIP": "#9e9e9e"}
_A_ROW = 5


def draw(looks: Sequence[Look]) -> Chart:
    """Steps from left to right, row by row, as they were gone."""
    height = -(-len(looks) // _A_ROW)
    figure, axes = charts.canvas(0.5 + 0.75 * height)
    for number, look in enumerate(looks):
        row, column = divmod(number, _A_ROW)
        axes.barh(row, 0.94, height=0.7, left=column, color=_COLOURS[look.verdict])
        axes.text(
            column + 0.47, row, f"{_wrapped(look.name)}\n{look.verdict}", ha="center", va="center", color="white", fontsize=9.5
        )  # fmt: skip
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_xlim(-0.02, _A_ROW)
    axes.axis("off")
    charts.heading(axes, "The way in, step by step")
    return Chart.of("the way in: " + "; ".join(f"{look.name} {look.verdict}" for look in looks), figure)


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(name, 24))
