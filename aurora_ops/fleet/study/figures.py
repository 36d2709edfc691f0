"""The pictures of a fleet: whose backups are proved, which clusters cost most, where load is, and how long versions are supported."""

from collections import Counter
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from aurora_ops.core import charts
from aurora_ops.core.display import Chart, count
from aurora_ops.core.engine import major
from aurora_ops.fleet.pages import bars
from aurora_ops.fleet.study.gathered import COST, PROOF, VERSIONS, Course, Gathered

GREY = "#b8b8b8"
PROVED, FAILED, UNPROVED, NEVER = "proved", "not proved", "no verdict", "not drilled"
_COLOURS = {PROVED: charts.BLUE, FAILED: charts.ORANGE, UNPROVED: charts.YELLOW, NEVER: GREY}
_WORDS = {"PASS": PROVED, "FAIL": FAILED}
RANKED = 5  # bars of a picture; more are told as a sum
_PANELS, _ACROSS, _TRENDS = 9, 3, 3  # trends: panels that tell theirs, the strongest
_ACCOUNTS = 4  # with a panel of their own
_IDLE = 0.25  # sessions per vCPU: less is no panel
STEADY = "steady"
_GROWS = 0.25  # of its mean, over the window: less is no trend in some minutes of samples


def states(found: Gathered) -> dict[str, Counter[str]]:
    """Of each account, how many clusters are proved and how many are not."""
    drilled = {(str(row["account"]), str(row["region"]), str(row["cluster"])): str(row["verdict"]) for row in found.rows(PROOF)}  # fmt: skip
    counted: dict[str, Counter[str]] = {}
    for key in sorted(found.clusters):
        state = _WORDS.get(drilled[key], UNPROVED) if key in drilled else NEVER
        counted.setdefault(key[0], Counter())[state] += 1
    return counted


def proofs(found: Gathered) -> Chart:
    """A bar an account."""
    counted = states(found)
    names = [*counted, *found.refused]
    colours = {state: colour for state, colour in _COLOURS.items() if any(all_[state] for all_ in counted.values())}
    figure, axes = charts.canvas(1.5 + 0.4 * len(names))
    for row, account in enumerate(names):
        left = 0
        for state, colour in colours.items():
            number = counted.get(account, Counter())[state]
            axes.barh(row, number, left=left, height=0.62, color=colour, label=state if row == 0 else None)
            if number:
                ink = "white" if state in (PROVED, FAILED) else charts.INK
                axes.text(left + number / 2, row, str(number), ha="center", va="center", fontsize=10, color=ink)
            left += number
        if account in found.refused:
            axes.text(0.4, row, f"not looked at: {found.refused[account]}", va="center", fontsize=10)
    charts.rows(axes, names)
    charts.heading(axes, "Backups by account")
    charts.name(axes, "clusters")
    charts.legend(figure)
    said = "; ".join(f"{account} " + ", ".join(f"{n} {state}" for state, n in all_.items()) for account, all_ in counted.items())  # fmt: skip
    return Chart.of(f"backups by account: {said}", figure)


def dollars(found: Gathered) -> Chart:
    """The dearest clusters beside each place's sum."""
    known = sorted(found.known(COST, "now_usd"), key=lambda one: -one[1])
    sums: dict[str, float] = {}
    for row, amount in known:
        name = f"{row['account']}, {row['region']}"
        sums[name] = sums.get(name, 0.0) + amount
    places = sorted(sums.items(), key=lambda one: -one[1])
    shown = known[:RANKED]
    figure = charts.blank(0.7 + 0.31 * max(min(len(places), RANKED), len(shown)))
    left, right = figure.subplots(1, 2)
    _ranked(left, "USD a month by account and region", places)
    _ranked(right, "by cluster", [(str(row["cluster"]), amount) for row, amount in known])
    said = "; ".join(f"{name} {amount:,.0f}" for name, amount in places)
    first = "; ".join(f"{row['cluster']} {amount:,.0f}" for row, amount in shown[:5])
    return Chart.of(f"USD a month by account and region: {said}. Dearest: {first}", figure)


def _ranked(axes: Axes, title: str, amounts: Sequence[tuple[str, float]]) -> None:
    """Bars of the greatest with their amounts beside them."""
    rest = [amount for _, amount in amounts[RANKED:]]
    amounts = amounts[:RANKED]
    _bars(axes, amounts, [f"{amount:,.0f}" for _, amount in amounts])
    axes.set_xlim(0, max((amount for _, amount in amounts), default=1) * 1.2)
    charts.heading(axes, title + (f"; the other {len(rest)}: {sum(rest):,.0f}" if rest else ""))


def _bars(axes: Axes, amounts: Sequence[tuple[str, float]], told: Sequence[str]) -> None:
    """A bar a row with what is told of it beside it, and without a scale."""
    for row, ((_, amount), words) in enumerate(zip(amounts, told, strict=True)):
        axes.barh(row, amount, height=0.62, color=charts.BLUE)
        axes.annotate(words, (amount, row), (6, 0), textcoords="offset points", va="center", fontsize=10)
    charts.rows(axes, [name for name, _ in amounts])
    axes.grid(visible=False)
    axes.tick_params(axis="y", labelsize=10)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def trend(one: Course) -> str:
    """Whether its load grows or falls, in words."""
    if abs(one.per_minute) * one.minutes <= _GROWS * one.mean:
        return STEADY
    return f"{'grows' if one.per_minute > 0 else 'falls'} by {abs(one.per_minute):.2f} a minute"


def loads(found: Gathered) -> Chart:
    """A panel a cluster, the heaviest first, all on one scale: that of what is on CPU. Above it the height is written."""
    ordered = sorted(found.courses, key=lambda one: -one.mean)
    busy = [one for one in ordered if one.mean >= _IDLE]
    shown = busy[:_PANELS]
    down = -(-len(shown) // _ACROSS) or 1
    moving = sorted((one for one in shown if trend(one) != STEADY), key=lambda one: -abs(one.per_minute))[:_TRENDS]
    figure = charts.blank(1.2 + 1.5 * down)
    panels = figure.subplots(down, _ACROSS, sharex=True, sharey=True, squeeze=False).flat
    top = 1.4 * max([1.0, *(value for one in shown for value in one.on_cpu if value is not None)])
    for number, axes in enumerate(panels):
        if number >= len(shown):
            axes.set_axis_off()
            continue
        charts.clean(axes)
        axes.tick_params(length=0, labelsize=9)
        axes.set_ylim(0, top)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _course(axes, shown[number], trend(shown[number]) if shown[number] in moving else "")
    figure.supxlabel("minutes of the window", fontsize=10)
    figure.supylabel("sessions per vCPU", fontsize=10)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=10)
    idle = f"; {len(ordered) - len(busy)} under {_IDLE:g}" if len(ordered) > len(busy) else ""
    said = "; ".join(f"{one.cluster} {one.mean:.2f}, {trend(one)}" for one in shown)
    return Chart.of(f"active sessions per vCPU of {count(len(ordered), 'cluster')}: {said}{idle}", figure)


def _course(axes: Axes, one: Course, told: str) -> None:
    minutes = [(at + 1) * one.every_seconds / 60 for at in range(len(one.active))]
    active, on_cpu = ([float("nan") if value is None else value for value in each] for each in (one.active, one.on_cpu))
    most, top = max((value for value in one.active if value is not None), default=0.0), axes.get_ylim()[1]
    active = [min(value, top * 0.99) for value in active]  # along the edge where it is above
    axes.fill_between(minutes, on_cpu, step="pre", color=charts.BLUE, linewidth=0, label="on CPU")
    axes.step(minutes, active, where="pre", color=charts.ORANGE, linewidth=1.3, label="all active sessions")
    axes.axhline(1, color=charts.INK, linewidth=1, label="as many as vCPUs")
    axes.set_title(one.cluster, loc="left", fontsize=10)
    above = f"with waits up to {most:.0f}" if most > top else ""
    axes.text(0.03, 0.93, "\n".join(filter(None, (told, above))), transform=axes.transAxes, va="top", fontsize=9)


def supported(found: Gathered) -> Chart:
    """A panel for the whole fleet and for each account: its clusters by major version, whose standard support ends first on top."""
    rows = found.rows(VERSIONS)
    days = {major(str(row["version"])): row["days_left"] for row in rows}
    ordered = sorted(days, key=lambda one: bars.support_order(one, days[one]))
    urgent = {one for one in ordered if bars.ends_soon(days[one])}
    counted: dict[str, Counter[str]] = {}
    for row in rows:
        counted.setdefault(str(row["account"]), Counter())[major(str(row["version"]))] += 1
    first = sorted(counted, key=lambda one: (-sum(counted[one][each] for each in urgent), one))[:_ACCOUNTS]
    panels = {"all": sum(counted.values(), Counter()), **{one: counted[one] for one in first}}
    figure = charts.blank(0.8 + 0.36 * len(ordered))
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=[1.6, *[1] * len(first)])[0]
    for axes, (name, numbers) in zip(all_axes, panels.items(), strict=True):
        _bars(axes, [(f"version {one}, {bars.left(days[one])}", float(numbers[one])) for one in ordered], [str(numbers[one]) for one in ordered])  # fmt: skip
        for patch, one in zip(axes.patches, ordered, strict=True):
            patch.set_facecolor(charts.ORANGE if one in urgent else charts.BLUE)
        # The accounts have one scale, and the whole its own.
        most = max(max(panels[one].values()) for one in ([name] if name == "all" else first))
        axes.set_xlim(0, most * 1.3)
        charts.heading(axes, f"{name}, {numbers.total()}")
    said = "; ".join(f"{one} ({bars.left(days[one])}) {panels['all'][one]}" for one in ordered)
    return Chart.of(f"clusters by major version: {said}", figure)
