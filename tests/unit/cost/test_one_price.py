"""One environment has one price of an ACU-hour, on every page and at the drill's gate; it depends on the storage type alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.billing import price_book
from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.capacity.shape import Shape
from aurora_ops.core import environments
from aurora_ops.cost import bands, exports, plan_tables, profiles
from aurora_ops.cost import plan as planning
from aurora_ops.cost.studies import history_study, option_study, range_study
from aurora_ops.restore import drill as restore
from aurora_ops.restore.drill import Drill
from aurora_ops.restore.proof import reading
from aurora_ops.restore.timing import Timing

STANDARD, IO_OPTIMIZED = ("aurora", 0.15, "acu hour standard 0.15"), ("aurora-iopt1", 0.2, "acu hour io optimized 0.2")


class Pages:
    """What pages 01 to 04 and the drill say of prod."""

    def __init__(self, storage_type):
        self.plan = planning.plan()
        self.ranges, self.options, self.history = (
            one.study("prod") for one in (range_study, option_study, history_study)
        )
        self.drill = drill("prod", storage_type, gib=100)


def drill(environment, storage_type, gib):
    """A drill whose preflight has found that much in a cluster like the environment's; AWS names no type for Standard storage."""
    wanted = environments.settings(environment)
    raw = {} if storage_type == "aurora" else {"StorageType": storage_type}
    source = Cluster(
        wanted.cluster_identifier, "", "available", wanted.engine_version, "", "", "", "", 5432,
        wanted.min_capacity, wanted.max_capacity, None, None, (), raw,
    )  # fmt: skip
    session = Session("sandbox", "ap-northeast-1", variables={}, state_directory=Path("no drill was kept here"))
    access = Access(session, wanted.cluster_identifier, environment)
    read = reading.Pages(
        4 * gib * 2**30 / 8192, 8 * gib * 2**30 / 8192
    )  # as of full depth, with four indexes on each table
    return Drill(access, None, restore.MAX_COST_USD, Timing(60, 120, 15), source=source, reading=read, volume_gib=gib)


@pytest.fixture(scope="module", params=[STANDARD, IO_OPTIMIZED], ids=["standard", "io-optimized"])
def asked(request):
    """The pages of prod with that storage type in its file of values, the price, and how a note names it."""
    storage_type, usd, name = request.param
    settings = environments.settings
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(environments, "settings", lambda one: replace(settings(one), storage_type=storage_type))
        yield Pages(storage_type), usd, name


def test_every_page_and_the_drill_bill_an_acu_hour_at_one_price(asked):
    """
    Worked out of what each of them shows: money by ACU-hours.
    """
    pages, usd, _ = asked
    prod, options, history = pages.plan.environments[-1], pages.options, pages.history
    compute = pages.drill.cost.estimate.items[0]
    provisioned = options.provisioned[0]

    assert [pytest.approx(usd)] * 6 == [
        prod.expected.compute_usd / (prod.instances * prod.profile.mean_acu(prod.acu_range, prod.idle_acu) * HOURS_PER_MONTH),
        options.plan.on_demand_usd / sum(use.acu_hours for use in options.uses),
        options.book.price(price_book.instance_item(provisioned.instance_class, options.shape.io_optimized)).usd / provisioned.breakeven_acu,
        history.bill.compute_usd / history.bill.acu_hours,
        compute.usd / compute.quantity,
        options.book.acu_hour(options.shape.io_optimized).usd,
    ]  # fmt: skip


def test_ranges_options_and_pauses_stand_beside_the_same_bill(asked):
    """
    The same load under the same range costs the same on page 02, on page 03, and awake beside a floor of 0.
    """
    pages = asked[0]
    first = pages.ranges.cases[0]

    assert [pytest.approx(pages.options.usd)] * 2 == [
        float(first.sweep.usd[first.present]),
        pages.options.pausing.awake_usd,
    ]


def test_every_page_names_the_month_of_page_01_and_which_question_it_answers_instead(asked):
    """
    In whole dollars, as an estimate is, beside its own amount, with the words of the difference.
    """
    pages = asked[0]
    planned = pages.plan.environments[-1].expected.known_usd
    own = {
        "ranges": (
            float(pages.ranges.cases[0].sweep.usd[pages.ranges.cases[0].present]),
            "simulated from 14 ASSUMED days",
        ),
        "options": (pages.options.usd, "simulated from 14 ASSUMED days"),
        "history": (
            pages.history.bill.widened.p50,
            "the median of the months that the days of the history can be drawn to",
        ),
    }

    for name, (usd, words) in own.items():
        note = getattr(pages, name).quantities().note
        assert f"cost-per-environment expects {planned:,.0f} USD" in note
        assert f"the {usd:,.0f} of this page are {words}" in note


@pytest.mark.parametrize("environment", environments.ENVIRONMENTS)
def test_a_deployment_says_the_month_of_page_01(environment):
    """
    What is built from nothing costs what the cost plan expects of it, at each end and in between.
    """
    made = Shape.of(environments.settings(environment))
    change = planning.cost_change(environment, "ap-northeast-1", (None, made))
    planned = next(cost for cost in planning.plan().environments if cost.name == environment)

    for level in ("floor", "expected", "ceiling"):
        amount = getattr(planned, level).known_usd
        assert (0.0, amount, amount) == change.usd(level)


def test_the_exports_hold_the_plans_amounts():
    """
    Rows to the cent; lines as they are, which add up to the expected month.
    """
    plan = planning.plan()
    made = json.loads(exports.as_json(plan, bands.bands(plan)))

    for cost, row in zip(plan.environments, made["environments"], strict=True):
        lines = [line["usd"] for line in made["line_items"][cost.name] if line["usd"] is not None]
        assert (round(cost.floor.known_usd, 2), round(cost.ceiling.known_usd, 2)) == (
            row["floor_usd"],
            row["ceiling_usd"],
        )
        assert pytest.approx(cost.expected.known_usd, abs=1e-9) == sum(lines)


def test_the_notes_name_the_price_that_is_billed_and_not_the_other(asked):
    """
    Page 03 compares both storage modes, so that its note names both.
    """
    pages, _, name = asked
    other = next(words for *_, words in (STANDARD, IO_OPTIMIZED) if words != name)
    notes = [pages.ranges.relations().note, pages.history.used().note]
    table = plan_tables.price_table(pages.plan)._repr_markdown_()

    assert [(True, False)] * 2 == [(name in note, other in note) for note in notes]
    assert (True, True) == (name in pages.options.table().note, other in pages.options.table().note)
    assert (True, False) == tuple(words.rpartition(" ")[0] in table for words in (name, other))


def test_the_storage_mode_that_an_environment_has_is_no_option(asked):
    """
    The other one is, and what it saves is what the present bill is over it.
    """
    pages, _, name = asked
    optimized = name == IO_OPTIMIZED[2]
    (option, saves, *_), breakeven = pages.options.savings[0], pages.options.breakeven
    present, then = breakeven.standard_usd, breakeven.io_optimized_usd

    assert ("Standard storage" if optimized else "I/O-Optimized storage") == option
    assert pytest.approx((then - present) if optimized else (present - then)) == saves
    assert ("standard_storage" if optimized else "io_optimized") == list(pages.options.numbers())[2].removeprefix(
        "saves_"
    ).removesuffix("_usd")


def test_the_cost_of_a_drill_is_bounded_by_the_life_of_its_copy(asked):
    """
    4 hours at 2 ACU, 100 GiB as long, and under Standard 12 times 100 GiB of 8 KiB pages, of both sides, at 0.24 a million.
    """
    pages, usd, _ = asked
    gib_month = 0.12 if usd == 0.15 else 0.27
    reading = 12 * 100 * 2**30 / 8192 / 1e6 * 0.24 if usd == 0.15 else 0.0

    assert pytest.approx(4 * 2 * usd + 100 * gib_month * 4 / 730 + reading) == pages.drill.cost.estimate.known_usd


@pytest.mark.parametrize("environment", environments.ENVIRONMENTS)
@pytest.mark.parametrize("storage_type", ["aurora", "aurora-iopt1"])
def test_the_default_limit_lets_each_environment_be_drilled(environment, storage_type):
    """
    With as much stored as its usage profile plans.
    """
    gib = profiles.profile(profiles.default(environment)).storage_gib
    check = drill(environment, storage_type, gib).cost.check(restore.MAX_COST_USD)

    assert "PASS" == check.verdict
    assert f"4 h at 2 ACU × ${0.2 if storage_type == 'aurora-iopt1' else 0.15} (until it expires" in check.detail
    assert f"{gib:,} GiB stored as long" in check.detail


def test_a_source_with_a_low_ceiling_has_a_cheaper_copy():
    """
    The copy's range is never wider than the source's, and the limit counts what the copy gets.
    """
    found = drill("dev", "aurora", gib=1)
    found.source = replace(found.source, floor_acu=0.5, ceiling_acu=1.0)

    assert (1.0, pytest.approx(4 * 1 * 0.15)) == (found.ceiling_acu, found.cost.estimate.items[0].usd)


def test_a_drill_without_a_known_price_of_an_acu_has_no_limit():
    """
    And is refused; a price of storage that is not known (us-west-2) is named in the check.
    """
    found = drill("dev", "aurora", gib=1)
    found.access = replace(
        found.access,
        session=Session("sandbox", "us-west-2", variables={}, state_directory=Path("no drill was kept here")),
    )
    west = found.cost.check(restore.MAX_COST_USD)
    found.access = replace(
        found.access,
        session=Session("sandbox", "eu-north-1", variables={}, state_directory=Path("no drill was kept here")),
    )

    assert ("PASS", True) == (
        west.verdict,
        "not included, because their price is not known here: drills, storage, drills, I/O" in west.detail,
    )
    with pytest.raises(price_book.UnknownPriceError, match="eu-north-1"):
        found.cost.estimate.known_usd  # noqa: B018 - the price is asked for by reading it


def test_only_the_price_book_names_the_items_of_an_acu_hour():
    """
    Everywhere else an environment's price is asked for, so that no page can take the other one. A discount's group has both.
    """
    package = environments.PROJECT_ROOT / "aurora_ops"
    naming = {
        path.name
        for path in package.rglob("*.py")
        if any(item in path.read_text(encoding="utf-8") for item in ("acu_hour_standard", "acu_hour_io_optimized"))
    }

    assert {"price_book.py", "price_list.py", "discounts.py"} == naming
