"""One style for every chart: ink and grid, a title at the left, named axes, no frame. The colours of data are each chart's own."""

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aurora_ops.core.display import Chart

INK, GRID = "#222222", "#dddddd"
# Of data, where a chart needs no scheme of its own.
BLUE, ORANGE, YELLOW = "#1f4e79", "#d55e00", "#f2c14e"
WIDTH = 10.4  # inches: as wide as a page, at the resolution of `display.Chart`


def blank(height: float) -> Figure:
    """A figure as wide as a page and `height` inches high, without matplotlib's global state; nothing in it overlaps."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def canvas(height: float) -> tuple[Figure, Axes]:
    """The same with its axes."""
    figure = blank(height)
    return figure, figure.add_subplot()


def name(axes: Axes, across: str = "", up: str = "") -> None:
    """What the axes count, with the unit."""
    axes.set_xlabel(across, fontsize=11)
    axes.set_ylabel(up, fontsize=11)


def thousands(axes: Axes) -> None:
    """Amounts upwards with their separators, as in every table."""
    axes.yaxis.set_major_formatter("{x:,.0f}")


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


def legend(figure: Figure, columns: int = 4) -> None:
    """Under the axes, without a frame: there it covers no data."""
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=10)


def bars(title: str, amounts: Mapping[str, float], unit: str, form: str = "{:,.0f}") -> Chart:
    """A bar for each name, the first on top, with its amount beside it."""
    figure, axes = canvas(0.9 + 0.36 * len(amounts))
    most = max(amounts.values(), default=0) or 1
    for row, amount in enumerate(amounts.values()):
        axes.barh(row, amount, height=0.62, color=BLUE)
        axes.annotate(form.format(amount), (amount, row), (5, 0), textcoords="offset points", va="center", fontsize=10)
    rows(axes, list(amounts))
    axes.set_xlim(0, most * 1.1)
    heading(axes, title)
    name(axes, unit)
    return Chart.of(f"{title}: " + "; ".join(f"{one} {form.format(amount)}" for one, amount in amounts.items()), figure)


def phases(title: str, seconds: Mapping[str, float]) -> Chart:
    """What took how long, one after the other."""
    figure, axes = canvas(0.9 + 0.36 * len(seconds))
    began = 0.0
    for row, took in enumerate(seconds.values()):
        axes.barh(row, took, height=0.62, left=began, color=BLUE if row % 2 else "#6fa8dc")
        began += took
        axes.annotate(f"{took:,.1f} s", (began, row), (5, 0), textcoords="offset points", va="center", fontsize=10)
    rows(axes, list(seconds))
    axes.set_xlim(0, (began or 1) * 1.1)
    heading(axes, title)
    name(axes, "seconds since the first began")
    return Chart.of(f"{title}: " + "; ".join(f"{phase} {took:.2f} s" for phase, took in seconds.items()), figure)
