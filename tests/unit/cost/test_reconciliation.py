"""A bill beside the history: every format that AWS writes, and a difference that is explained to the cent."""

import json

import duckdb
import numpy as np
import pandas as pd
import pytest

from aurora_ops.billing.statement import StatementError
from aurora_ops.cost.readers import bill_files
from aurora_ops.cost.studies import history_study, reconciliation

DAYS = 14
ACU = np.where(np.arange(DAYS * 24) % 24 < 9, 0.5, 4.0)
DAILY_ACU_HOURS = 9 * 0.5 + 15 * 4
LIST = 0.15  # Tokyo, Standard


@pytest.fixture
def found(tmp_path):
    """Two weeks of dev's writer from 2026-10-05 on, measured: it has no reader, so nothing is assumed."""
    rows = [
        f"{stamp:%Y-%m-%dT%H:%M:%SZ},{value}"
        for stamp, value in zip(pd.date_range("2026-10-05", periods=len(ACU), freq="h"), ACU / 2, strict=True)
    ]
    (tmp_path / "writer.csv").write_text("\n".join(["timestamp,ServerlessDatabaseCapacity w1", *rows]))
    return history_study.study("dev", str(tmp_path / "writer.csv"))


def charges(usd=LIST, factor=1.0, resource="arn:aws:rds:ap-northeast-1:123456789012:db:w1"):
    """A bill by day of the 1st to the 31st: the writer's capacity, storage and I/O of its cluster."""
    for day in range(1, 32):
        acu_hours = DAILY_ACU_HOURS / 2 * factor
        begin = f"2026-10-{day:02d}"
        end = f"2026-10-{day + 1:02d}" if day < 31 else "2026-11-01"
        cluster = "arn:aws:rds:ap-northeast-1:123456789012:cluster:cluster-ABC"
        yield begin, end, "APN1-Aurora:ServerlessV2Usage", acu_hours, acu_hours * usd, resource
        yield begin, end, "APN1-Aurora:StorageUsage", 0.5, 0.06, cluster
        yield begin, end, "APN1-Aurora:StorageIOUsage", 1e6, 0.24, cluster
        yield begin, end, "APN1-BoxUsage:t3.micro", 24, 0.33, "i-1"
        yield begin, end, "Aurora:ServerlessV2Usage", 100, 12.0, "arn:aws:rds:us-east-1:123456789012:db:other"


def cur(rows, legacy=False, extra=()):
    header = ["identity_line_item_id", "line_item_usage_start_date", "line_item_usage_end_date", "line_item_usage_type", "line_item_usage_amount",
              "line_item_unblended_cost", "line_item_resource_id", "line_item_line_item_type", "line_item_currency_code"]  # fmt: skip
    if legacy:
        header = ["identity/LineItemId", "lineItem/UsageStartDate", "lineItem/UsageEndDate", "lineItem/UsageType", "lineItem/UsageAmount",
                  "lineItem/UnblendedCost", "lineItem/ResourceId", "lineItem/LineItemType", "lineItem/CurrencyCode"]  # fmt: skip
    lines = [
        f"x,{b}T00:00:00Z,{e}T00:00:00Z,{name},{quantity},{usd},{resource},Usage,USD"
        for b, e, name, quantity, usd, resource in rows
    ]
    return "\n".join([",".join(header), *lines, *extra])


def focus(rows):
    header = "BilledCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,ResourceId,x_UsageType"
    return "\n".join(
        [header, *(f"{usd},USD,Usage,{b}T00:00:00Z,{e}T00:00:00Z,{q},{r},{n}" for b, e, n, q, usd, r in rows)]
    )


def explorer(rows):
    table = pd.DataFrame(rows, columns=["day", "end", "name", "quantity", "usd", "resource"]).pivot(
        index="day", columns="name", values="usd"
    )
    header = ['"Usage type"', *(f'"{name}($)"' for name in table.columns), '"Total costs($)"']
    total = ['"Usage type total"', *(f'"{value}"' for value in table.sum()), f'"{table.to_numpy().sum()}"']
    days = [
        ",".join([f'"{day}"', *(f'"{value}"' for value in row), f'"{row.sum()}"'])
        for day, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return "\n".join([",".join(header), ",".join(total), *days])


def answer(rows):
    results = {}
    for begin, end, name, quantity, usd, _ in rows:
        result = results.setdefault(
            begin, {"TimePeriod": {"Start": begin, "End": end}, "Groups": [], "Estimated": begin > "2026-10-30"}
        )
        metrics = {
            "UnblendedCost": {"Amount": str(usd), "Unit": "USD"},
            "UsageQuantity": {"Amount": str(quantity), "Unit": "N/A"},
        }
        result["Groups"].append({"Keys": ["Amazon Relational Database Service", name], "Metrics": metrics})
    return json.dumps(
        {"GroupDefinitions": [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "DIMENSION", "Key": "USAGE_TYPE"}], "ResultsByTime": [*results.values()]}
    )  # fmt: skip


def compare(found, folder, content, name="bill.csv"):
    (folder / name).write_text(content)
    return reconciliation.compare(found, str(folder / name))


FORMATS = {
    "CUR 2.0.csv": cur, "CUR.csv": lambda rows: cur(rows, legacy=True), "FOCUS.csv": focus, "costs.csv": explorer, "answer.json": answer,
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_bill_of_what_was_measured_agrees_in_every_format(found, tmp_path, name):
    """
    Fourteen days of both: capacity to the cent, then storage and I/O; other services and regions are not of it.
    """
    compared = compare(found, tmp_path, FORMATS[name](list(charges())), name)
    measured = DAYS * DAILY_ACU_HOURS / 2 * LIST

    assert ["PASS"] == [check.verdict for check in compared.checks]
    assert pytest.approx(measured, abs=0.01) == compared.numbers["measured_compute_usd"]
    assert pytest.approx(measured + DAYS * 0.30, abs=0.01) == compared.numbers["billed_usd"]
    assert "2026-10-05 00:00 to 2026-10-19 00:00 UTC" in compared.table.note


def test_parquet_is_a_bill_too(found, tmp_path):
    rows = list(charges())
    (tmp_path / "cur.csv").write_text(cur(rows))
    duckdb.read_csv(str(tmp_path / "cur.csv")).write_parquet(str(tmp_path / "cur.parquet"))

    assert "PASS" == reconciliation.compare(found, str(tmp_path / "cur.parquet")).checks[0].verdict


@pytest.mark.parametrize(("usd", "factor"), [(LIST * 0.9, 1.0), (LIST, 1.2), (0.2, 0.7), (LIST, 1.0)])
@pytest.mark.parametrize("name", FORMATS)
def test_the_items_lead_from_the_measured_capacity_to_the_bill(found, tmp_path, name, usd, factor):
    """
    More ACU-hours, another price, storage, I/O: first row and differences add up to the last row.
    """
    table = compare(found, tmp_path, FORMATS[name](list(charges(usd, factor))), name).table
    amounts = [row[-1] for row in table.rows]

    assert pytest.approx(amounts[-1]) == sum(amounts[:-1])


def test_a_discount_is_told_from_more_hours(found, tmp_path):
    """
    A tenth off the price, and a fifth more hours: each has its row, and the check fails on either.
    """
    for usd, factor, row in ((LIST * 0.9, 1.0, "billed price"), (LIST, 1.2, "ACU-hours billed more")):
        compared = compare(found, tmp_path, cur(list(charges(usd, factor))))
        moved = {name: amount for name, _, amount in compared.table.rows if abs(amount) > 0.01}

        assert "FAIL" == compared.checks[0].verdict
        assert [True] == [row in name for name in moved if "ACU-hour" in name and "measured ACU-hours ×" not in name]


def test_the_bill_of_another_instance_is_not_this_ones(found, tmp_path):
    """
    Where the bill names resources, the capacity of others is left out; where it names none of ours, all is compared and it says so.
    """
    other = "arn:aws:rds:ap-northeast-1:123456789012:db:w2"
    both = compare(found, tmp_path, cur([*charges(), *charges(resource=other)]))
    none = compare(found, tmp_path, cur(list(charges(resource=other))))

    assert ("PASS", True) == (both.checks[0].verdict, "Capacity of w1 alone" in both.table.note)
    assert "names none of these instances, so all of RDS in the region" in none.table.note


def test_taxes_and_credits_have_rows_of_their_own(found, tmp_path):
    credit = "x,2026-10-06T00:00:00Z,2026-10-07T00:00:00Z,APN1-Aurora:ServerlessV2Usage,0,-5,arn:aws:rds:ap-northeast-1:1:db:w1,Credit,USD"
    compared = compare(found, tmp_path, cur(list(charges()), extra=[credit]))

    assert "PASS" == compared.checks[0].verdict
    assert [-5.0] == [usd for name, _, usd in compared.table.rows if name == "lines of the kind credit"]


def test_without_a_bill_the_page_says_what_it_could_compare(found):
    compared = reconciliation.compare(found, "")

    assert ((), {}) == (compared.checks, compared.numbers)
    assert "-p bill FILE" in repr(compared.shown())


MONTH = [("2026-10-01", "2026-11-01", "APN1-Aurora:ServerlessV2Usage", 999.0, 149.85, "")]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (cur(MONTH), "month.csv", "has no whole period within the history, 2026-10-05 00:00 to 2026-10-19 00:00 UTC"),
        (cur(list(charges())).replace(",USD", ",JPY"), "yen.csv", "is in JPY"),
        (explorer(list(charges())).replace("Usage type", "Service"), "service.csv", "Cost Explorer's table by Service"),
        (explorer(list(charges())[:5]), "one-day.csv", "could be a day or a month"),
        (cur(list(charges())).replace("APN1-", "EU-"), "ireland.csv", "none is of Serverless v2 in ap-northeast-1"),
        (cur(list(charges())).replace("line_item_usage_type", "x"), "column.csv", "lacks line_item_usage_type"),
        ("a,b\n1,2\n", "other.csv", "no bill that is known"),
        ("", "empty.csv", "is empty"),
        (json.dumps({"ResultsByTime": [{"Groups": [1]}]}), "list.json", "or was edited"),
        ('{"a":' * 100_000, "deep.json", "or was edited"),
        ("{}", "other.json", "no answer of aws ce get-cost-and-usage"),
        (json.dumps({"ResultsByTime": [{"TimePeriod": {}, "Total": {}, "Groups": []}]}), "total.json", "--group-by Type=DIMENSION,Key=USAGE_TYPE"),
        (answer(list(charges()))[:500], "cut.json", "this is no JSON"),
        (cur(list(charges())).replace(",0.06,", ",six,"), "words.csv", "line 3: line_item_unblended_cost='six' is no number"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 15 else "",
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_with_what_to_export(found, tmp_path, content, name, words):
    with pytest.raises(StatementError) as error:
        compare(found, tmp_path, content, name)
    assert words in str(error.value)


def test_a_simulation_has_no_bill(tmp_path):
    (tmp_path / "bill.csv").write_text(cur(list(charges())))

    with pytest.raises(StatementError, match="the history is simulated"):
        reconciliation.compare(history_study.study("dev"), str(tmp_path / "bill.csv"))


def test_a_history_that_is_no_capacity_does_not_agree_by_chance(tmp_path):
    """
    The mean of two instances, compared with the bill of both: half of it is missing.
    """
    rows = [f"2026-10-{5 + hour // 24:02d}T{hour % 24:02d}:00:00Z,{value / 4}" for hour, value in enumerate(ACU)]
    (tmp_path / "mean.csv").write_text("\n".join(["timestamp,ServerlessDatabaseCapacity", *rows]))
    compared = compare(history_study.study("dev", str(tmp_path / "mean.csv")), tmp_path, explorer(list(charges())))

    assert "FAIL" == compared.checks[0].verdict


def test_charges_are_read_as_they_stand(tmp_path):
    (tmp_path / "cur.csv").write_text(cur(list(charges())))
    read = bill_files.read(str(tmp_path / "cur.csv"))

    assert (5 * 31, "cur.csv: CUR, 155 charges") == (len(read.charges), read.origin)
    assert 3 * 31 == len(read.of_region("ap-northeast-1").charges)
    assert 31 == len(read.of_region("us-east-1").charges)
