"""One style for every chart: ink and grid, a title at the left, no frame. The colours of data are each chart's own."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, GRID = "#222222", "#dddddd"
# Of data, where a chart needs no scheme of its own.
BLUE, ORANGE, YELLOW = "#1f4e79", "#d55e00", "#f2c14e"
WIDTH = 8.6  # inches; wider ones say so


def canvas(height: float) -> tuple[Figure, Axes]:
    """A figure of the usual width, without matplotlib's global state, and its axes."""
    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.add_subplot()


def heading(axes: Axes, text: str) -> None:
    """The chart's title, at the left."""
    axes.set_title(text, loc="left", fontsize=12)


def clean(
    axes: Axes,
    grid: Literal["both", "x", "y"] | None = "both",
    hidden: Sequence[str] = ("top", "right"),
    grid_width: float = 0.8,
) -> None:
    """A grid behind the data, and no frame on the sides `hidden`."""
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=grid_width)
        axes.set_axisbelow(True)
    axes.spines[[*hidden]].set_visible(False)


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a horizontal bar chart, the first on top, with a grid for their lengths."""
    axes.set_yticks(range(len(names)), names, fontsize=12)
    axes.invert_yaxis()
    axes.set_ylim(len(names) - 0.45, -0.7)
    axes.tick_params(length=0)
    clean(axes, "x", ("top", "right", "left"))


def legend(axes: Axes, place: Literal["upper right", "lower right"] = "upper right") -> None:
    """Without a frame, inside the axes."""
    axes.legend(loc=place, frameon=False, fontsize=10)
