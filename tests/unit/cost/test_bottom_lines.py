"""A bottom line is read in ten seconds: at most two short sentences with at most six numbers, whatever the input."""

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from bottom_lines import numbers, too_long

from aurora_ops.billing import price_book
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.shape import Shape
from aurora_ops.core import environments
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.cost.studies import history_study, option_study, plan_study, range_study

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "notebooks").glob("0[1-4]_*.ipynb"))


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("Expect 1 USD in ap-northeast-1. It was 2.5 at db.r6g.large.", []),
        ("One. Two. Three.", ["3 sentences"]),
        ("At 0.5–16 ACU 1,101 USD, 2, 3 and 4%, 5.", ["7 numbers"]),
        (" ".join(["word"] * 33) + ".", ["33 words: " + " ".join(["word"] * 33) + "."]),
    ],
)
def test_what_is_too_long_is_found(text, broken):
    """
    Sentences, numbers (a range is two, a name none) and words.
    """
    assert broken == too_long(text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_stored_bottom_line_of_each_cost_page_is_short(path):
    """
    As a reader of the repository sees it.
    """
    [cell] = [one for one in nbformat.read(path, 4).cells if one.id == "bottom-line"]
    text = cell.outputs[0].data["text/plain"]

    assert [] == too_long(text)
    assert numbers(text)


@pytest.mark.parametrize("environment", ["dev", "stg", "prod"])
def test_the_cost_of_a_change_is_short_and_its_difference_is_not_of_rounded_numbers(environment):
    """
    From nothing, to another range, to nothing: three numbers with three digits, the rest in the table.
    """
    shape = Shape.of(environments.settings(environment))
    wider = replace(shape, acu_range=AcuRange(1, 32))
    tables = [
        plan_tables.cost_change(planning.cost_change(environment, "ap-northeast-1", pair))
        for pair in ((None, shape), (shape, wider), (wider, shape), (shape, None), (shape, shape))
    ]

    assert [[]] * 5 == [too_long(one.summary) for one in tables]
    assert tables[-1].summary.endswith("(+0)")
    assert {True} == {row[3] == row[2] - row[1] for one in tables for row in one.rows}


@pytest.mark.parametrize("environment", ["dev", "stg", "prod"])
@pytest.mark.parametrize("profile", ["idle", "always-on"])
def test_every_page_is_short_under_every_load(environment, profile):
    """
    Whether the range is kept or changed, something saves or nothing does, a budget holds or does not.
    """
    found = [
        range_study.study(environment, profile), option_study.study(environment, profile),
        history_study.study(environment, "simulated", budget_usd=100.0),
    ]  # fmt: skip

    assert [[]] * 3 == [too_long(one.bottom_line().text) for one in found]


@pytest.mark.parametrize("region", ["us-west-2", "eu-central-1", "ap-northeast-2", "eu-west-2"])
def test_a_region_without_some_prices_is_short_and_names_what_it_lacks(region):
    """
    Names stand in the sentence as far as they fit; all of them stand under the table.
    """
    plan = plan_study.plan(region)
    line = plan_tables.bottom_line(plan)
    lacking = list(dict.fromkeys(name for cost in plan.environments for name in cost.expected.unpriced))

    assert [] == too_long(line.text)
    assert lacking, region
    assert {True} == {name in line.text for name in lacking[:2]} | {name in line.table.note for name in lacking}
    assert "at least" in line.text


def test_what_no_range_and_no_option_answers_is_short_too(tmp_path, monkeypatch):
    """
    No tolerance is kept; a file that is doubted; a line without a price on every page; a range that holds whatever comes.
    """
    whole = price_book.book("us-east-1")
    some = replace(whole, prices={k: v for k, v in whole.prices.items() if "logs" not in k and k != "secret_month"})
    nothing = range_study.study("dev", throttled_minutes=0, cold_minutes=0)
    path = tmp_path / "odd.csv"
    hours = [
        f"2026-11-{1 + n // 24:02d}T{n % 24:02d}:00:00Z,{value}" for n, value in enumerate([0.0, 0.75] * (12 * 14))
    ]
    path.write_text("\n".join(["timestamp,capacity_acu", *hours]))
    doubted = history_study.study("dev", str(path))
    monkeypatch.setattr(price_book, "book", lambda *_, **__: some)
    found = [
        nothing,
        doubted,
        *(one.study("stg", region="us-east-1") for one in (range_study, option_study, history_study)),
    ]

    assert [[]] * 5 == [too_long(one.bottom_line().text) for one in found]
    assert "No range keeps to the tolerance" in nothing.bottom_line().text
    assert "DOUBTFUL" in doubted.bottom_line().text
    assert ["without log ingestion" in one.bottom_line().text for one in found[2:]] == [True] * 3
