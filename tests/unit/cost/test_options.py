"""Options against figures of others: AWS's own toolkit where it is right, the price list where it is not."""

import numpy as np
import pytest

from aurora_ops.billing import price_book
from aurora_ops.billing.bill import bill, estimate
from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.billing.usage import ProvisionedUse, Usage, UsageError, instance_uses
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.pausing import Gates
from aurora_ops.cost import options

US, TOKYO = price_book.book("us-east-1"), price_book.book("ap-northeast-1")


def pair(instance_class):
    return [ProvisionedUse("writer", instance_class), ProvisionedUse("reader", instance_class)]


def test_io_optimized_costs_what_the_list_says_and_not_what_a_factor_of_1_3_says():
    """
    cost-cases.json, aws-toolkit-io: 1,835.48 against 2,149.54 at list price; the toolkit's factor gives 2,150.12.
    """
    found = options.io_breakeven(pair("db.r6g.2xlarge"), Usage(storage_gib=800, io_millions=1200), US)

    assert (1835.48, 2149.54) == (pytest.approx(found.standard_usd), pytest.approx(found.io_optimized_usd))
    assert pytest.approx(2150.12, abs=0.01) == 2 * 1.038 * 1.3 * 730 + 800 * 0.225


def test_the_verdict_in_tokyo_is_the_other_one_with_tokyos_prices():
    """
    Two db.r6g.large, 20 GiB, 620 million I/O. The toolkit, which takes us-east-1's prices of
    I/O and storage, says Standard; at Tokyo's it is 608.18 against 599.62.
    """
    found = options.io_breakeven(pair("db.r6g.large"), Usage(storage_gib=20, io_millions=620), TOKYO)

    assert (608.18, 599.62) == (pytest.approx(found.standard_usd), pytest.approx(found.io_optimized_usd))
    assert found.saves_usd > 0


@pytest.mark.parametrize(("acu", "storage"), [(0.5, 10), (2, 100), (16, 1000), (3.3, 0)])
@pytest.mark.parametrize("book", [US, TOKYO], ids=lambda book: book.region)
def test_break_even_is_where_both_sides_meet(book, acu, storage):
    """
    At that many I/O both bills are the same to the last line, readers included; one more million tips it.
    """
    uses = instance_uses(acu, [1])
    found = options.io_breakeven(uses, Usage(storage), book)
    at = Usage(storage, io_millions=found.io_millions)
    standard, optimized = (
        sum(line.usd or 0.0 for line in bill(uses, at, book, io_optimized=io_optimized))
        for io_optimized in (False, True)
    )

    assert pytest.approx(standard) == optimized
    assert options.io_breakeven(uses, Usage(storage, io_millions=found.io_millions + 1), book).saves_usd > 0


def test_the_rule_of_25_percent_is_a_rule_of_thumb():
    """
    In Tokyo I/O-Optimized pays from 25 % for compute alone, but much later where storage is large.
    """
    compute, storage = (options.io_breakeven(instance_uses(2.0), Usage(gib), TOKYO).share for gib in (0, 5000))

    assert pytest.approx(0.25) == compute
    assert storage > 0.45


def test_a_region_whose_prices_are_not_known_has_no_break_even():
    """
    eu-west-1's storage price under I/O-Optimized is not known: no factor, no other region's.
    """
    with pytest.raises(UnknownPriceError, match="storage_gb_month_io_optimized"):
        options.io_breakeven(instance_uses(2.0), Usage(100), price_book.book("eu-west-1"))


@pytest.mark.parametrize(
    ("book", "instance_class", "acu"),
    [(TOKYO, "db.t4g.medium", 0.753), (TOKYO, "db.r6g.large", 2.087), (US, "db.t4g.medium", 0.608), (US, "db.r6g.large", 2.167)],
)  # fmt: skip
def test_the_mean_acu_at_which_a_provisioned_instance_costs_as_much(book, instance_class, acu):
    """
    As published: 0.75 and 2.09 in Tokyo, 0.61 and 2.17 in us-east-1.
    """
    found = options.provisioned(instance_uses(1.0), Usage(), book, peak_acu=2, vcpu_per_acu=0.25)

    assert pytest.approx(acu, abs=0.001) == {one.instance_class: one.breakeven_acu for one in found}[instance_class]


def test_both_sides_of_a_provisioned_comparison_have_their_readers():
    """
    Two db.r6g.large in Tokyo beside two instances at 2 ACU: 456.98 and 438 USD of compute, all else the same.
    """
    uses = instance_uses(2.0, [1])
    found = options.provisioned(uses, Usage(100, 50, 118, 10), TOKYO, peak_acu=8, vcpu_per_acu=0.25)
    large = next(one for one in found if one.instance_class == "db.r6g.large")
    serverless = estimate("", uses, Usage(100, 50, 118, 10), TOKYO).comparable_usd

    assert pytest.approx(2 * 730 * (0.313 - 2 * 0.15)) == large.usd - serverless
    assert sorted(one.usd for one in found) == [one.usd for one in found]


@pytest.mark.parametrize(("vcpu_per_acu", "carrying"), [(0.25, True), (1.0, False)])
def test_whether_an_instance_carries_the_peak_depends_on_what_is_not_published(vcpu_per_acu, carrying):
    """
    8 ACU are 16 GiB, and 2 or 8 processors: db.r6g.large has 2.
    """
    found = options.provisioned(instance_uses(2.0), Usage(), TOKYO, peak_acu=8, vcpu_per_acu=vcpu_per_acu)
    carries = {one.instance_class: one.carries for one in found}

    assert (carrying, False) == (carries["db.r6g.large"], carries["db.t4g.medium"])


def test_credits_of_a_burstable_instance_are_charged_over_its_baseline():
    """
    A t4g.medium at 50 % uses 0.3 of 2 processors over its baseline; 0.09 a vCPU-hour in the list of eu-west-1 of 2023.
    """
    [bursting, *_], [resting, *_] = (
        bill(
            [ProvisionedUse("writer", "db.t4g.medium", credit_vcpu_hours=hours)], Usage(), price_book.book("eu-west-1")
        )[1:]
        for hours in (0.3 * 2 * 730, 0)
    )

    assert ("compute, writer, CPU credits", pytest.approx(0.6 * 730 * 0.09)) == (bursting.name, bursting.usd)
    assert "storage" == resting.name


def test_a_burstable_instance_whose_credits_have_no_known_price_is_unknown():
    """
    In Tokyo that price is not known, so a busy t4g has no total, and comes last.
    """
    found = options.provisioned(instance_uses(1.0), Usage(), TOKYO, peak_acu=1, vcpu_per_acu=0.25, mean_vcpus=1.0)

    assert ("db.t4g.medium", None) == (found[-1].instance_class, found[-1].usd)


def test_a_constant_load_saves_the_whole_discount():
    """
    cost-cases.json, aws-toolkit-dsp: 6 ACU, 525.60 on demand and 341.64 with the plan.
    """
    plan = options.savings_plan([6.0] * 730, acu_hour_usd=0.12)

    assert (525.6, 341.64, 0.0) == (pytest.approx(plan.on_demand_usd), pytest.approx(plan.usd), plan.wasted_usd)


@pytest.mark.parametrize("discount", [0.0, 0.2, 0.35, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_plan_is_cheaper_than_the_one_from_the_duration_curve(seed, discount):
    """
    Against every ACU that any hour used, and against none.
    """
    hours = np.random.default_rng(seed).choice([0, 0.5, 1, 4, 9, 16], 500).astype(float)
    best = options.savings_plan(hours, 0.15, discount)
    others = [options.savings_plan(hours, 0.15, discount, covered_acu=acu).usd for acu in (0.0, *np.unique(hours), 2.7)]

    assert best.usd <= min(others) + 1e-9
    assert best.saves_usd >= -1e-9


def test_a_plan_is_charged_while_the_cluster_sleeps():
    """
    An instance that is paused most of the time needs no plan; one that is forced on it wastes the nights.
    """
    hours = [0.0] * 14 + [4.0] * 10
    forced = options.savings_plan(hours * 30, 0.15, covered_acu=4.0)

    assert 0.0 == options.savings_plan(hours * 30, 0.15).covered_acu
    assert pytest.approx(14 * 30 * 4 * 0.15 * 0.65) == forced.wasted_usd
    assert forced.saves_usd < 0


@pytest.mark.parametrize(
    ("hours", "discount", "words"),
    [([], 0.35, "empty"), ([1, float("nan")], 0.35, "gaps"), ([-1], 0.35, "negative"), ([1], 1.0, "from 0 to 1")],
)
def test_a_plan_from_bad_input_is_refused(hours, discount, words):
    """
    Nothing measured, gaps, negative capacity, a discount of everything.
    """
    with pytest.raises(UsageError, match=words):
        options.savings_plan(hours, 0.15, discount)


def test_pausing_saves_nothing_where_something_keeps_the_cluster_awake():
    """
    The spec's 15.4 cannot pause, and a proxy would hold it awake; the same cluster at 15.10 without one saves its nights.
    """
    office = Demand(([0.0] * 600 + [1.0] * 480 + [0.0] * 360) * 7, 60)
    able, unable = (
        options.auto_pause(office, AcuRange(0.5, 4), gates, Usage(10), TOKYO)
        for gates in (Gates("15.10"), Gates("15.4", rds_proxy=True))
    )

    assert ((), 2) == (able.reasons, len(unable.reasons))
    assert (True, 0.0) == (able.saves_usd > 20, unable.saves_usd)
    assert pytest.approx(able.paused_usd) == able.awake_usd - able.saves_usd
