"""A drill of a cluster that nothing of ours made: three databases, every kind of object and column, names with everything in them."""

import pytest
from common import failed

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.rehearsal import foreign
from aurora_ops.restore import drill as restore

REGION = "ap-northeast-1"


@pytest.fixture(scope="module")
def report(sandbox):
    """The verdict on an undamaged copy of the shop, all databases."""
    foreign.build("shop")
    found = restore.drill(open_access(open_session(), cluster="shop"))
    found.mark()
    found.restore()
    try:
        yield found.verify()
    finally:
        restore.clean_up("sandbox", REGION, cluster="shop")


def test_an_undamaged_copy_of_a_foreign_cluster_passes(report):
    assert [] == failed(report)


def test_what_was_not_looked_at_is_named_with_its_reason(report):
    """Unlogged tables, hidden rows, foreign tables: no backup can hold them, or nobody may look; never silently."""
    skipped = {check.name: check.detail for check in report.checks if check.verdict == "SKIP"}

    for name, said in (
        ("sales.carts", "UNLOGGED"),
        ("sales.tenants", "row level security hides rows from shopkeeper"),
        ("sales.not_filled", "not populated"),
    ):
        assert said in skipped[f"rows of shop: {name}"]


def test_every_database_is_compared_whatever_it_is_called(report):
    """With a quote, a percent sign and Japanese in its name as well as with none."""
    for database in ("shop", "warehouse", '在庫 100%\'s "best"'):
        assert "PASS" in [
            check.verdict for check in report.checks if check.name == f"definitions of database {database}"
        ]
        assert any(
            check.name.startswith(f"rows of {database}: ") and check.verdict == "PASS" for check in report.checks
        )
