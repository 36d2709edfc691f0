"""Expected figures come from other tools' golden files, AWS's documentation, and tools that were run."""

import pandas as pd
import pytest

from aurora_ops.billing import price_book
from aurora_ops.billing.bill import bill, estimate
from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.billing.usage import (
    Drills,
    InstanceUse,
    ProvisionedUse,
    Usage,
    UsageError,
    billed_backup_gib,
    instance_uses,
    retained_backup_gib,
)
from aurora_ops.capacity.history import of_samples

US, TOKYO = price_book.book("us-east-1"), price_book.book("ap-northeast-1")


def amounts(*instances, book=US, **usage):
    return {line.name: line.usd for line in bill(instances or instance_uses(0.0), Usage(**usage), book)}


def test_five_acu_for_a_month_are_438_usd():
    """
    infracost golden aurora_serverless_v2_with_usage: 5 ACU x 730 h x 0.12.
    """
    assert pytest.approx(438.0) == amounts(InstanceUse.of_mean("writer", 5))["compute, writer"]


def test_a_hundred_gib_of_storage_are_10_usd():
    """
    infracost golden, same case: 100 GB x 0.10.
    """
    assert pytest.approx(10.0) == amounts(storage_gib=100)["storage"]


def test_twenty_io_a_second_are_10_51_usd():
    """
    infracost golden: 20 requests a second x 730 h = 52.56 million I/O.
    """
    assert pytest.approx(10.512) == amounts(io_millions=20 * 3600 * 730 / 1e6)["I/O"]


def test_full_copies_as_infracost_assumes_them_give_its_figure():
    """
    infracost golden: 5 full copies of 100 GB less the free one are 400 GB, 8.40 USD. AWS bills increments, see below.
    """
    assert pytest.approx(8.4) == amounts(backup_gib=5 * 100, storage_gib=100)["backup beyond the free allowance"]


@pytest.mark.parametrize(
    ("stored", "volume", "billed"), [([90, 120], 150, 60), ([100, 150, 100], 150, 200), ([90], 100, 0)]
)
def test_the_free_allowance_of_backups_is_the_latest_volume(stored, volume, billed):
    """
    AWS's documented examples: 90 + 120 - 150 = 60 GiB, and at most 200 GiB; never less than nothing.
    """
    assert billed == billed_backup_gib(sum(stored), volume)


@pytest.mark.parametrize(("change", "days", "billed"), [(3, 7, 18), (3, 1, 0), (500, 3, 200), (0, 35, 0)])
def test_a_retention_period_stores_one_copy_and_the_changes(change, days, billed):
    """
    One day of retention is free; a day cannot change more than the volume of 100 GiB.
    """
    assert billed == billed_backup_gib(retained_backup_gib(100, change, days), 100)


@pytest.mark.parametrize(("acu", "expected"), [(3.5, 356.6), (6.0, 575.6), (16.0, 1451.6)])
def test_one_instance_as_the_aws_toolkit_prices_it(acu, expected):
    """
    acu_calculator.py, r6g.xlarge: 3.5, 6.0 and 16.0 ACU with 500 GB in us-east-1.
    """
    lines = amounts(InstanceUse.of_mean("writer", acu), storage_gib=500)

    assert pytest.approx(expected) == lines["compute, writer"] + lines["storage"]


def test_readers_are_priced_where_the_aws_toolkit_forgets_them():
    """
    Two r6g.large at 2 ACU and 50 GB: 355.40 USD; the toolkit says 180.20 (aws/agent-toolkit-for-aws, acu_calculator.py).
    """
    lines = amounts(*instance_uses(2.0, reader_tiers=[1]), storage_gib=50)

    assert pytest.approx(355.4) == lines["compute, writer"] + lines["compute, readers"] + lines["storage"]


def test_a_reader_of_tier_0_or_1_follows_the_writer_and_others_do_not():
    """
    Tier 1 costs the writer's hours; tier 2 its own.
    """
    writer, standby, free = instance_uses(4.0, reader_tiers=[1, 2], independent_reader_acu=0.5)

    assert (writer.acu_hours, 365.0) == (standby.acu_hours, free.acu_hours)


def test_an_independent_reader_needs_a_capacity_of_its_own():
    """
    The writer does not tell what a tier 2 reader costs, so nothing is assumed here.
    """
    with pytest.raises(UsageError, match="independent_reader_acu"):
        instance_uses(4.0, reader_tiers=[2])


def test_a_series_and_its_mean_cost_the_same():
    """
    Measured and planned capacity go through one billing function.
    """
    minutes = pd.date_range("2026-11-23T00:00Z", periods=60, freq="min")
    samples = pd.DataFrame({"capacity_acu": [0.5, 4.0, 1.5, 2.0] * 15, "connections": 1.0}, index=minutes)
    measured = of_samples("writer-1", samples).use("writer")
    planned = InstanceUse.of_mean("writer", 2.0, hours=1)

    assert bill([planned], Usage(), US) == bill([measured], Usage(), US)


def test_a_paused_month_has_no_compute_but_is_not_free():
    """
    At 0 ACU storage goes on.
    """
    lines = amounts(InstanceUse.of_mean("writer", 0.0), storage_gib=10)

    assert (0.0, 1.0) == (lines["compute, writer"], lines["storage"])


def test_under_io_optimized_there_is_no_charge_for_io():
    """
    ACU and storage have prices of their own, taken from the list: 0.20 and 0.27 in Tokyo.
    """
    lines = bill(instance_uses(1.0), Usage(storage_gib=100, io_millions=500), TOKYO, io_optimized=True)
    by_name = {line.name: line.usd for line in lines}

    assert (146.0, 27.0) == (pytest.approx(by_name["compute, writer"]), pytest.approx(by_name["storage"]))
    assert "I/O" not in by_name


def test_each_instance_brings_five_alarms():
    """
    0.10 USD each. tests/terraform holds the number to the module.
    """
    assert pytest.approx(1.5) == amounts(*instance_uses(1.0, reader_tiers=[1, 1]))["alarms"]


def test_an_unknown_price_is_unknown_and_never_zero():
    """
    London lacks the price of alarms and of stored logs: the lines and the total are unknown, the rest is known.
    """
    month = estimate("dev", instance_uses(0.5), Usage(logs_gib=1), price_book.book("eu-west-2"))
    alarms = next(line for line in month.items if line.name == "alarms")

    assert (None, None) == (alarms.usd, month.usd)
    assert ("alarms", "log storage") == month.unpriced
    assert pytest.approx(0.5 * 730 * 0.14 + 0.5985 + 1 + 0.40) == month.known_usd


def test_a_month_is_the_sum_of_its_lines():
    """
    Nothing is rounded on the way.
    """
    month = estimate("prod", instance_uses(3.3, [1]), Usage(100, 52.56, 118, 10), TOKYO)

    assert pytest.approx(sum(line.usd for line in month.items)) == month.usd
    assert pytest.approx(2 * 3.3 * 730 * 0.15) == month.compute_usd


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_impossible_quantities_are_refused(value):
    """
    Negative and undefined quantities would falsify a bill.
    """
    with pytest.raises(UsageError):
        InstanceUse("writer", value)
    with pytest.raises(UsageError):
        Usage(storage_gib=value)


def test_the_documented_week_of_backups_bills_60_gib():
    """
    AWS's example: seven days of changes (120 GiB), 90 GiB from before that a restore needs, a volume of 150 GiB.
    """
    changes, needed_from_before, volume = [10, 0, 25, 20, 10, 25, 30], 90, 150

    assert 60 == billed_backup_gib(sum(changes) + needed_from_before, volume)


def test_automated_backups_are_capped_at_the_volumes_of_their_days():
    """
    cost-cases.json, aws-docs-backup-cap: two days of 100 and 150 GiB, an old snapshot of 100, 150 free: at most 200 GiB.
    """
    assert 200 == billed_backup_gib(10_000, 150, snapshots_gib=100, cumulative_volume_gib=100 + 150)


def test_an_old_snapshot_is_charged_in_full():
    """
    Manual snapshots outside of the retention period count with the volume's size at their time.
    """
    assert (
        pytest.approx(2 * 100 * 0.021)
        == amounts(storage_gib=100, backup_gib=100, snapshots_gib=200)["backup beyond the free allowance"]
    )


def test_drills_are_part_of_the_bill():
    """
    Thirty restores of an hour at 2 ACU with 100 GiB: compute, the storage of those hours, and I/O.
    """
    drills = Drills(number=30, hours=1.0, mean_acu=2.0, storage_gib=100, io_millions=0.5)
    by_name = {line.name: line.usd for line in bill(instance_uses(0.5), Usage(drills=drills), TOKYO)}

    assert pytest.approx(60 * 0.15) == by_name["drills, compute"]
    assert pytest.approx(100 * 30 / 730 * 0.12) == by_name["drills, storage"]
    assert pytest.approx(15 * 0.24) == by_name["drills, I/O"]
    assert pytest.approx(365 * 0.15) == by_name["compute, writer"]


def test_what_is_not_used_does_not_make_a_month_unknown():
    """
    Tokyo's price of an export is not known: it matters only to those who export, and then it is never 0.
    """
    without, with_export = (
        estimate("prod", instance_uses(1.0), Usage(exports_gib=gib, transfer_out_gib=gib), TOKYO) for gib in (0, 10)
    )

    assert without.usd is not None
    assert (None, ("snapshot export",)) == (with_export.usd, with_export.unpriced)
    assert pytest.approx(10 * 0.114) == with_export.known_usd - without.usd


def test_the_provisioned_side_of_the_aws_toolkit():
    """
    cost-cases.json, aws-toolkit-r6g.xlarge: one instance with 500 GB in us-east-1 is 428.87 USD.
    """
    lines = amounts(ProvisionedUse("writer", "db.r6g.xlarge"), storage_gib=500)

    assert pytest.approx(428.87) == lines["compute, writer"] + lines["storage"]


def test_an_unknown_instance_class_is_an_error():
    """
    A misspelt class has no price, and is not a class whose price is unknown here.
    """
    with pytest.raises(UnknownPriceError, match=r"db\.r9g\.large.*no price book"):
        bill([ProvisionedUse("writer", "db.r9g.large")], Usage(), US)
