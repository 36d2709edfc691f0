import dataclasses
import inspect

import pytest

from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.capacity import idle, simulation
from aurora_ops.capacity import rules as scaling
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.core import environments
from aurora_ops.core.errors import InputError
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_charts, plan_tables, profiles
from aurora_ops.cost.profiles import UnknownProfileError
from aurora_ops.cost.studies import history_study, option_study, plan_study, range_study


@pytest.fixture(scope="module")
def tokyo():
    return planning.plan("ap-northeast-1", "2026-11-23")


def by_name(costs):
    return {(cost.name, cost.region): cost for cost in costs}


@pytest.mark.parametrize(
    ("name", "region", "floor", "ceiling"),
    [
        ("dev", "ap-northeast-1", 54.75, 219.0),
        ("stg", "ap-northeast-1", 109.5, 1752.0),
        ("prod", "ap-northeast-1", 109.5, 3504.0),
        ("dev", "us-east-1", 43.8, 175.2),
        ("stg", "us-east-1", 87.6, 1401.6),
        ("prod", "us-east-1", 87.6, 2803.2),
    ],
)
def test_compute_at_floor_and_ceiling(tokyo, name, region, floor, ceiling):
    """
    The spec's ranges and readers at 730 hours.
    """
    cost = by_name((*tokyo.environments, *tokyo.compared))[name, region]

    assert (pytest.approx(floor), pytest.approx(ceiling)) == (cost.floor.compute_usd, cost.ceiling.compute_usd)


@pytest.mark.parametrize(
    ("name", "findings"),
    [
        ("dev", ("floor 55 USD is over its low end 50", "ceiling 219 USD is 2.2 times its high end 100")),
        ("stg", ("floor 110 USD is over its low end 100", "ceiling 1,750 USD is 5.8 times its high end 300")),
        ("prod", ("ceiling 3,500 USD is 5.8 times its high end 600",)),
    ],
)
def test_the_plan_says_where_the_specs_table_cannot_hold(tokyo, name, findings):
    """
    In Tokyo stg's floor alone is over its band's low end, and prod's ceiling is 5.8 times its high end.
    """
    assert findings == by_name(tokyo.environments)[name, "ap-northeast-1"].band_findings
    assert "; ".join(findings) in [row[-1] for row in plan_tables.against_spec(tokyo).rows]


def test_a_broken_spec_table_is_noted_and_fails_nothing(tokyo):
    """
    The verdict is about the plan; the finding about the spec stands in its note.
    """
    report = planning.report(tokyo)

    assert "PASS" == report.verdict
    assert "the planning table cannot hold for dev, stg, prod" == report.note


@pytest.mark.parametrize(("idle_acu", "mean_acu"), [(0.0, 0.5), (0.5, 0.5), (1.5, 1.5), (3.0, 3.0), (99.0, 16.0)])
def test_an_idle_month_costs_where_an_idle_instance_rests(idle_acu, mean_acu):
    """
    At the floor only if it comes down to it; and never over the ceiling. The floor itself does not move.
    """
    plan = planning.plan(dev="idle", stg="idle", prod="idle", idle_acu=idle_acu)
    *_, prod = plan.environments

    assert (pytest.approx(2 * mean_acu * 730 * 0.15), 109.5) == (prod.expected.compute_usd, prod.floor.compute_usd)
    assert 0.0 == prod.if_idle_higher_usd, "what was given is no assumption"
    assert "PASS" == planning.report(plan).verdict


def test_the_dearest_environment_says_what_it_is_paid_for(tokyo):
    """
    As a product that a reader can work out again: 2 × 3.47 × 730 × 0.15 is 760, of 795.
    """
    *_, prod = plan_tables.bottom_line(tokyo).table.rows

    assert ("prod", 795, 760, "2 × 3.47 ACU × 730 hours × 0.15 USD") == (
        prod[0],
        round(prod[1]),
        round(prod[2]),
        prod[3],
    )
    assert 760 == round(2 * 3.47 * 730 * 0.15)


def test_devs_month_lies_where_the_observations_put_it(tokyo):
    """
    Eight of them rest at 0.5 ACU, one bill tells a mean 8 % over that; the furthest that anybody saw is 1 ACU: 73 to 115 USD in Tokyo.
    """
    dev = tokyo.environments[0]
    at_rest, at_most = (planning.plan(idle_acu=acu).environments[0].expected.known_usd for acu in (0.5, 1.0))

    assert [73, 115] == [round(at_rest), round(at_most)]
    assert at_rest < dev.expected.known_usd < at_rest + 0.08 * 0.5 * 730 * 0.15
    assert pytest.approx(at_most) == dev.expected.known_usd + dev.if_idle_higher_usd


def test_the_assumption_about_rest_is_said_with_the_money_that_rests_on_it(tokyo):
    """
    Under the first sentence, in the table of assumptions, and in what to do; none of it where it was measured.
    """
    given = planning.plan(idle_acu=0.5)
    shown = [
        plan_tables.bottom_line(tokyo)._repr_markdown_(),
        str(plan_tables.profile_table(tokyo).note),
        str(plan_tables.what_to_do(tokyo).rows),
        plan_tables.idle_observations(tokyo).note,
    ]
    words = [
        "| dev | 76 | 71 | 1 × 0.64 ACU × 730 hours × 0.15 USD | 39 |",
        "rest at its floor, awake never under 0.5 ACU, and billed 8% over it",
        "measure where an idle instance rests",
        "dev 0.5–1, stg 0.5–1, prod 0.5–1",
    ]

    assert [True] * 4 == [one in text for one, text in zip(words, shown, strict=True)]
    assert [0, 0, 0] == [row[4] for row in plan_tables.bottom_line(given).table.rows]
    assert "Expect dev 73, stg 225 and prod 795 USD a month" in repr(plan_tables.bottom_line(given))


def test_plans_and_simulations_assume_the_same_rest():
    """
    One default, and under a profile without any work the simulated capacity comes to where the plan's idle hours rest.
    """
    acu_range, load = AcuRange(0.5, 16), profiles.profile("idle")
    capacity = simulation.capacity(Demand([4.0] + [0.0] * 60 * 24, 60), acu_range)

    assert {scaling.MEASURED.idle_acu} == {
        inspect.signature(call).parameters["idle_acu"].default
        for call in (
            planning.plan,
            planning.environment_cost,
            plan_study.plan,
            range_study.study,
            option_study.study,
            history_study.study,
            load.mean_acu,
        )
    }
    assert (acu_range.rest(), acu_range.rest() * (1 + idle.mean_over_rest())) == (
        capacity[-1],
        pytest.approx(load.mean_acu(acu_range)),
    )


def test_a_price_that_the_book_lacks_is_named_with_who_knows_it_and_is_no_fault_of_the_plan():
    """
    us-west-2 has no storage price here: a SKIP that names the lines, sums that are lower bounds, and no line that is shown as 0.
    """
    plan = planning.plan("us-west-2")
    [skipped] = [check for check in planning.report(plan).checks if check.verdict == "SKIP"]

    assert "PASS" == planning.report(plan).verdict
    assert "not priced: storage, I/O" in repr(planning.report(plan))
    assert ("every line has a price", True, True) == (
        skipped.name,
        "storage (AmazonRDS)" in skipped.detail,
        'prices="live"' in skipped.detail,
    )
    assert "at least" in repr(plan_tables.bottom_line(plan))
    assert "storage unknown" in repr(plan_charts.line_item_chart(plan))
    assert "| 10 GiB | unknown |" in plan_tables.line_items(plan)._repr_markdown_()
    assert {None} == set(planning.summary(plan).values())


def test_old_prices_fail_a_plan():
    """
    Two years later every price is stale, Extended Support of version 15 has none, and the plan can no longer be relied on.
    """
    plan = planning.plan(as_of="2028-11-23")

    assert 1.0 == pytest.approx(planning.weak_share(plan))
    assert "FAIL" == planning.report(plan).verdict
    assert "10 of them unverified, stale or unknown" in repr(plan_tables.price_table(plan))


def test_a_ceiling_within_a_limit_keeps_every_month_under_it(tokyo):
    """
    2.5 ACU hold prod under 600 USD and 3 would not; no ceiling holds dev under 100.
    """
    costs = {cost.name: cost for cost in tokyo.environments}
    per_acu = 2 * 730 * 0.15
    besides = costs["prod"].ceiling.known_usd - costs["prod"].ceiling.compute_usd

    assert 2.5 == costs["prod"].ceiling_within(600)
    assert besides + 2.5 * per_acu <= 600 < besides + 3 * per_acu
    assert costs["dev"].ceiling_within(100) is None


def test_a_version_that_cannot_pause_fails_a_floor_of_zero(monkeypatch):
    """
    The spec's engine 15.4 with a floor of 0 is found before anything is deployed.
    """
    settings = environments.settings

    def paused(name):
        return dataclasses.replace(settings(name), min_capacity=0, engine_version="15.4")

    monkeypatch.setattr(environments, "settings", paused)
    report = planning.report(planning.plan())

    assert "FAIL" == report.verdict
    assert "version 15.4 cannot pause" in repr(report)


@pytest.mark.parametrize("readers", [0, 1, 3])
def test_every_reader_is_paid_for(monkeypatch, readers):
    """
    At the ceiling each instance costs the same, of whatever tier.
    """
    settings = environments.settings
    monkeypatch.setattr(
        environments, "settings", lambda name: dataclasses.replace(settings(name), reader_count=readers)
    )
    [*_, prod] = planning.plan().environments

    assert pytest.approx((1 + readers) * 16 * 730 * 0.15) == prod.ceiling.compute_usd


@pytest.mark.parametrize(
    ("arguments", "error", "names"),
    [
        ({"region": "tokyo"}, UnknownPriceError, "ap-northeast-1"),
        ({"dev": "office-hour"}, UnknownProfileError, "'office-hours'"),
        ({"as_of": "23.11.2026"}, InputError, "2026-11-23"),
        ({"idle_acu": -1.0}, InputError, "use 0 for its floor"),
        ({"idle_acu": float("nan")}, InputError, "use 0 for its floor"),
        ({"prices": "lives"}, InputError, "Did you mean 'live'"),
        ({"test": "idle"}, environments.UnknownEnvironmentError, "dev, prod, stg"),
    ],
)
def test_bad_input_is_refused_with_what_is_known(arguments, error, names):
    """
    Unknown region, profile, environment or date: the error names what to use.
    """
    with pytest.raises(error, match=names):
        planning.plan(**arguments)


def test_every_profile_is_a_whole_week_and_says_why():
    """
    168 shares between 0 and 1, and a reason; each environment has a default.
    """
    for name in profiles.names():
        profile = profiles.profile(name)
        assert profiles.HOURS_PER_WEEK == len(profile.hour_of_week)
        assert all(0 <= share <= 1 for share in profile.hour_of_week)
        assert len(profile.why) > 40
    assert set(environments.ENVIRONMENTS) == {name for name in environments.ENVIRONMENTS if profiles.default(name)}


def test_charts_are_small_and_carry_their_numbers(tokyo):
    """
    A PNG has at most 30 KB, and what it shows stands in its caption.
    """
    charts = [plan_charts.range_chart(tokyo), plan_charts.line_item_chart(tokyo)]

    assert all(len(chart.png) < 30_000 for chart in charts)
    assert "stg 124 / 230 / 1,770, planning table 100–300" in repr(charts[0])
    assert "prod writer 380, readers 380" in repr(charts[1])


def test_no_output_can_be_read_as_a_formula(tokyo):
    """
    Two dollar signs on a line would be typeset as mathematics in JupyterLab.
    """
    views = ("bottom_line", "paid_for", "per_environment", "against_spec", "line_items", "profile_table", "what_to_do")

    assert {0} == {getattr(plan_tables, view)(tokyo)._repr_markdown_().count("$") for view in views}
    assert plan_tables.price_table(tokyo)._repr_markdown_().count("$") < 2
