"""The charts of a fleet's page: bars that are text and style alone, so that a phone, the dark, paper and who listens have all of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aurora_ops.billing import engine_support
from aurora_ops.core.display import count
from aurora_ops.core.engine import major
from aurora_ops.core.page import escape
from aurora_ops.fleet.pages.kinds import Kind, Value

STYLE = """
.panels { display: grid; gap: .4rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 29rem), 1fr)); align-items: start }
.panels.small { grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)) }
.bars { --bar: #1f4e79; --urgent: #d55e00; overflow: visible } .bars figcaption { color: inherit; font-weight: 600; margin-bottom: .3rem }
.bars ol { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: fit-content(60%) 1fr; gap: .25rem .6rem; font-size: .9rem }
.bars li { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center } .bars li > span:first-child { text-align: right }
.bars li > span:last-child { display: flex; align-items: center; gap: .4rem; white-space: nowrap; font-variant-numeric: tabular-nums }
.bars i { flex: none; height: 1rem; width: calc((100% - var(--told)) * var(--share)); background: var(--bar); print-color-adjust: exact }
.bars i.urgent { background: var(--urgent) }
@media screen and (prefers-color-scheme: dark) { .bars { --bar: #79b8ff; --urgent: #ff9d57 } }
@media (max-width: 36rem) { .bars:not(.terse) li { display: block } .bars:not(.terse) li > span:first-child { text-align: left } }
"""
_RANKED = 20  # bars of a chart; the rest is told as a sum
_PANELS = 12  # accounts with a panel of their own
_TERSE = 12  # letters of a name that has room beside its bar on a phone
_MONTH_DAYS = 365.25 / 12


@dataclass(frozen=True)
class Bar:
    """A name, its amount, and what is told of it beside the bar. `urgent`: in another colour; the words say it too."""

    name: str
    amount: float
    told: str
    urgent: bool = False


def bars(title: str, shown: Sequence[Bar], most: float = 0.0) -> str:
    """A bar each. `most`: the amount of a whole width, where several charts have one scale."""
    most = most or max((one.amount for one in shown), default=0.0) or 1.0
    room = max((len(one.told) for one in shown), default=0) + 1
    lines = "".join(
        f'<li><span>{escape(one.name)}</span><span><i{" class=urgent" if one.urgent else ""} style="--share:{max(one.amount, 0) / most:.4f}"></i>{escape(one.told)}</span></li>'
        for one in shown
    )
    terse = " terse" * all(len(one.name) <= _TERSE for one in shown)
    return f'<figure class="bars{terse}" style="--told:{room}ch"><figcaption>{escape(title)}</figcaption><ol>{lines}</ol></figure>'


def _panels(drawn: Sequence[str], kind: str = "") -> str:
    return f'<div class="{f"panels {kind}".strip()}">{"".join(drawn)}</div>'


def ranked(rows: Sequence[Mapping[str, Value]], kind: Kind) -> list[str]:
    """The greatest amounts, and each account's and region's sum where amounts may be added up."""
    known = [(row, value) for row in rows if kind.chart and isinstance(value := row[kind.chart], float)]
    if not any(value for _, value in known):
        return []  # bars of nothing would say no more than the first sentence
    known.sort(key=lambda one: -one[1])
    digits = next(one.digits for one in kind.columns if one.name == kind.chart)
    rest = known[_RANKED:]
    shown = [
        Bar(f"{row['cluster']}, {row['account']}", value, f"{value:,.{digits}f}") for row, value in known[:_RANKED]
    ]
    title = f"The {len(shown)} greatest of {len(known)}, {kind.unit}" if rest else f"All {len(known)}, {kind.unit}"
    drawn = []
    if kind.is_money:
        title += f"; the other {len(rest)} together {sum(value for _, value in rest):,.0f}" if rest else ""
        places: Counter[str] = Counter()
        for row, value in known:
            places[f"{row['account']}, {row['region']}"] += value  # type: ignore[assignment]
        drawn.append(bars(f"By account and region, {kind.unit}", [Bar(name, sum_, f"{sum_:,.0f}") for name, sum_ in places.most_common()]))  # fmt: skip
    return ["<h2>The greatest first</h2>", _panels([*drawn, bars(title, shown)])]


def left(days: Value) -> str:
    """How long standard support lasts, in words.

    >>> left(92.0), left(12.0), left(-40.0), left(None)
    ('3 months left', '12 days left', 'ended 40 days ago', 'end not known')
    """
    if not isinstance(days, float):
        return "end not known"
    if days < 0:
        return f"ended {count(round(-days), 'day')} ago"
    return (
        f"{count(int(days / _MONTH_DAYS), 'month')} left"
        if days >= 2 * _MONTH_DAYS
        else f"{count(round(days), 'day')} left"
    )


def support_order(version: str, days: Value) -> tuple[float, list[str]]:
    """By the end of standard support, then by number; what is not known stands last."""
    return days if isinstance(days, float) else float("inf"), [part.rjust(4) for part in version.split(".")]


def ends_soon(days: Value) -> bool:
    """Whether it ends within a year, or has ended."""
    return isinstance(days, float) and days <= engine_support.WARN_DAYS


def versions(rows: Sequence[Mapping[str, Value]]) -> list[str]:
    """Clusters by version, whose support ends first on top; then the major versions of each account, all on one scale."""
    days = {str(row["version"]): row["days_left"] for row in rows}
    if not days:
        return []

    counted = Counter(str(row["version"]) for row in rows)
    ordered = sorted(days, key=lambda one: support_order(one, days[one]))
    whole = [
        Bar(one, counted[one], f"{count(counted[one], 'cluster')}, {left(days[one])}", ends_soon(days[one]))
        for one in ordered
    ]
    majors = {major(one): ends_soon(days[one]) for one in ordered}
    accounts: dict[str, Counter[str]] = {}
    for row in rows:
        accounts.setdefault(str(row["account"]), Counter())[major(str(row["version"]))] += 1
    near = {account: sum(number for one, number in found.items() if majors[one]) for account, found in accounts.items()}
    first = sorted(accounts, key=lambda one: (-near[one], one))[:_PANELS]
    most = max(max(found.values()) for found in accounts.values())
    small = [
        bars(f"{account}: {near[account]} of {accounts[account].total()} leave within a year", [Bar(f"version {one}", accounts[account][one], str(accounts[account][one]), urgent) for one, urgent in majors.items()], most)
        for account in first
    ]  # fmt: skip
    title = f"By account, the {_PANELS} with most that leave" if len(accounts) > _PANELS else "By account"
    return ["<h2>How long versions are supported</h2>", bars("Clusters by version, whose standard support ends first on top", whole), f"<h2>{title}</h2>", _panels(small, "small")]  # fmt: skip
