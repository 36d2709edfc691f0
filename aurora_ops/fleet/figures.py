"""The pictures of a fleet: whose backups are proved, which clusters cost most, where load is, and how long versions are supported."""

from collections import Counter
from datetime import date

from aurora_ops.billing import engine_support
from aurora_ops.core import charts
from aurora_ops.core.display import Chart, count
from aurora_ops.core.engine import major
from aurora_ops.fleet.gathered import COST, PROOF, VERSIONS, Course, Gathered

GREY = "#b8b8b8"
PROVED, FAILED, UNPROVED, NEVER = "proved", "not proved", "no verdict", "never drilled"
_COLOURS = {PROVED: charts.BLUE, FAILED: charts.ORANGE, UNPROVED: charts.YELLOW, NEVER: GREY}
_WORDS = {"PASS": PROVED, "FAIL": FAILED}
RANKED = 15
_PANELS, _ACROSS, _TRENDS = 12, 4, 3
_GROWS = 0.05  # sessions per vCPU a minute: less is no trend in some minutes of samples


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
    figure, axes = charts.canvas(1.5 + 0.4 * len(names))
    for row, account in enumerate(names):
        left = 0
        for state, colour in _COLOURS.items():
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
    """The dearest clusters with their bands, beside each account's sum."""
    known = sorted(found.known(COST, "now_usd"), key=lambda one: -one[1])
    sums: Counter[str] = Counter()
    for row, amount in known:
        sums[str(row["account"])] += amount  # type: ignore[assignment]
    shown, rest = known[:RANKED], known[RANKED:]
    figure = charts.blank(1.1 + 0.34 * len(shown))
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.1))
    ordered = sums.most_common()
    for axes, names, amounts in (
        (left, [name for name, _ in ordered], [amount for _, amount in ordered]),
        (right, [f"{row['cluster']}, {row['account']}" for row, _ in shown], [amount for _, amount in shown]),
    ):
        axes.barh(range(len(names)), amounts, height=0.62, color=charts.BLUE)
        for row, amount in enumerate(amounts):
            axes.annotate(f"{amount:,.0f}", (amount, row), (6, 0), textcoords="offset points", va="center", fontsize=10)
        charts.rows(axes, names)
        axes.tick_params(axis="y", labelsize=10)
        axes.set_xlim(0, max(amounts, default=1) * 1.22)
        charts.name(axes, "USD a month")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    left.set_ylim(max(len(ordered), 8) - 0.45, -0.7)
    charts.heading(left, "By account")
    charts.heading(right, f"The {len(shown)} dearest; the other {len(rest)}: {sum(amount for _, amount in rest):,.0f}")
    first = "; ".join(f"{row['cluster']} {amount:,.0f}" for row, amount in shown[:5])
    return Chart.of(f"USD a month by account: {'; '.join(f'{name} {amount:,.0f}' for name, amount in ordered)}. Dearest: {first}", figure)  # fmt: skip


def trend(one: Course) -> str:
    """Whether its load grows or falls, in words."""
    if abs(one.per_minute) < _GROWS:
        return "steady"
    return f"{'grows' if one.per_minute > 0 else 'falls'} by {abs(one.per_minute):.2f} a minute"


def loads(found: Gathered) -> Chart:
    """A panel a cluster, the heaviest first, all on one scale."""
    ordered = sorted(found.courses, key=lambda one: -one.mean)
    shown = ordered[:_PANELS]
    down = -(-len(shown) // _ACROSS) or 1
    figure = charts.blank(0.9 + 1.45 * down)
    panels = figure.subplots(down, _ACROSS, sharex=True, sharey=True, squeeze=False).flat
    most = max((value for one in shown for value in one.active if value is not None), default=1.0)
    for number, axes in enumerate(panels):
        charts.clean(axes)
        axes.tick_params(length=0, labelsize=9)
        if number >= len(shown):
            axes.set_axis_off()
            continue
        one = shown[number]
        minutes = [(at + 1) * one.every_seconds / 60 for at in range(len(one.active))]
        active, on_cpu = ([float("nan") if value is None else value for value in each] for each in (one.active, one.on_cpu))  # fmt: skip
        axes.fill_between(minutes, on_cpu, step="pre", color=charts.BLUE, linewidth=0, label="on CPU")
        axes.step(minutes, active, where="pre", color=charts.ORANGE, linewidth=1.3, label="all active sessions")
        axes.axhline(1, color=charts.INK, linewidth=1, label="as many as vCPUs")
        axes.set_ylim(0, max(most, 1) * 1.3)
        axes.set_title(one.cluster, loc="left", fontsize=10)
        if number < _TRENDS:
            axes.text(0.03, 0.95, trend(one), transform=axes.transAxes, va="top", fontsize=9)
    figure.supxlabel("minutes of the window", fontsize=10)
    figure.supylabel("sessions per vCPU", fontsize=10)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=10)
    said = "; ".join(f"{one.cluster} {one.mean:.2f}" for one in shown)
    return Chart.of(f"sessions on CPU per vCPU, heaviest of {count(len(ordered), 'cluster')}: {said}", figure)


def supported(found: Gathered) -> Chart:
    """Each major version with its clusters, and how long it has standard support."""
    on = date.fromisoformat(found.moment[:10])
    counted = Counter(major(str(row["version"])) for row in found.rows(VERSIONS))
    ends = {one: engine_support.standard_until(one) for one in counted}
    ordered = sorted(counted, key=lambda one: (ends[one] or date.max, one))
    figure, axes = charts.canvas(1.1 + 0.42 * len(ordered))
    for row, one in enumerate(ordered):
        end = ends[one]
        days = (end - on).days if end else 0
        axes.barh(row, days, height=0.62, color=charts.ORANGE if days <= engine_support.WARN_DAYS else charts.BLUE)
        told = f"{count(counted[one], 'cluster')}, until {end or 'a day that is not known'}"
        axes.annotate(told, (max(days, 0), row), (6, 0), textcoords="offset points", va="center", fontsize=10)
    axes.axvline(engine_support.WARN_DAYS, color=charts.INK, linewidth=1, linestyle=":")
    charts.rows(axes, [f"version {one}" for one in ordered])
    axes.set_xlim(right=axes.get_xlim()[1] * 1.25)
    charts.heading(axes, f"Days of standard support left on {on}; dotted: a year")
    charts.name(axes, "days")
    said = "; ".join(f"{one}: {counted[one]} until {ends[one] or 'unknown'}" for one in ordered)
    return Chart.of(f"standard support by major version: {said}", figure)
