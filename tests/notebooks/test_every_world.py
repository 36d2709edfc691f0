"""Pages on the foreign worlds: each passes, skips what it cannot look at, or refuses with the reason. No run ends in an error.

By default a few pages on the worlds that refuse most; the others are `slow`. A page that is new joins `PAGES`.
"""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from aurora_ops.rehearsal import foreign
from aurora_ops.runner import collection, parameters
from aurora_ops.runner import run as runner

pytestmark = pytest.mark.minutes(2)
PAGES = [
    "cost-per-environment", "acu-range-what-if", "pricing-options", "acu-history", "database-load", "drift", "compare-database-load",
    "diagnose-connection-failure", "clean-up-restore-drills", "end-blocking-session", "respond-to-missing-drill", "verify-restored-cluster", "fail-over", "load-schema",
    "record-baseline", "restore-drill", "restore-to-point-in-time", "run-workload", "set-acu-range", "add-reader", "end-sessions",
    "respond-to-alarm", "upgrade-engine", "alarm-capacity", "alarm-connections", "alarm-cpu", "alarm-local-storage", "alarm-replica-lag", "alarm-transaction-ids",
]  # fmt: skip
FOREIGN = list(foreign.WORLDS)
SHORT = [
    ("cost-per-environment", "provisioned"), ("database-load", "no-insights"), ("drift", "provisioned"), ("restore-to-point-in-time", "provisioned"),
    ("run-workload", "no-insights"),
]  # fmt: skip
LONG_AGO = timedelta(minutes=2, seconds=15)  # two windows of a minute each, and what the sampler is behind
YOUNG = (
    "whole days of measured capacity, less than a week|CloudWatch has no capacity of"  # by how fast the world was built
)
FIXED = "has instances of a fixed size"
FOREIGN_SQL = "but no ledger: others created them. Nothing was run."
# What is refused, with words of the reason. All else passes.
REFUSED = {
    **{("acu-history", world): YOUNG for world in FOREIGN},
    **{(page, "provisioned"): FIXED for page in PAGES[:4]},
    **{("load-schema", world): FOREIGN_SQL for world in FOREIGN},
    **{("run-workload", world): "does not hold the nine tables of sql/schema" for world in FOREIGN},
    **{("fail-over", world): "has no reader, so nothing could take over" for world in ("many-tables", "no-insights")},
    ("database-load", "no-insights"): "Performance Insights is off on every instance of no-insights",
    **{("verify-restored-cluster", world): "copy is empty, and no cluster of" for world in FOREIGN},
    ("set-acu-range", "provisioned"): "no range applies to it",
    ("compare-database-load", "no-insights"): "Performance Insights is off on every instance of no-insights",
}  # fmt: skip
GIVEN = {
    "database-load": {"source": "live", "minutes": 1},
    "restore-to-point-in-time": {"restore_to": "latest"},
    "run-workload": {"seconds": 3},
}


def everywhere():
    for world in FOREIGN:
        for page in PAGES:
            short = (page, world) in SHORT
            yield pytest.param(page, world, marks=[] if short else pytest.mark.slow, id=f"{page}-{world}")


@pytest.fixture(scope="module")
def world(sandbox):
    """Builds a world when it is first asked for. Returns since when it stands."""
    stands = {}

    def build(name):
        if name not in stands:
            foreign.build(name)
            stands[name] = datetime.now(UTC)
        return stands[name]

    return build


def windows(since):
    """Two live windows of one minute, side by side, of a cluster that stands long enough to have them."""
    time.sleep(max(0.0, (since + LONG_AGO - datetime.now(UTC)).total_seconds()))
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    return {"before": f"{end - timedelta(minutes=1):%FT%TZ}", "after": f"{end:%FT%TZ}", "minutes": 1}


def test_every_page_that_takes_a_cluster_is_run():
    taken = {entry.name for entry in collection.collection() if "cluster" in parameters.read(entry.path)}

    assert taken == set(PAGES)


@pytest.mark.parametrize(("page", "name"), list(everywhere()))
def test_a_page_passes_skips_or_refuses(world, tmp_path, page, name):
    """An error would mean that the page met something that it does not know."""
    since = world(name)
    given = {"cluster": name} | GIVEN.get(page, {})
    if page == "compare-database-load":
        given |= windows(since)
    outcome = runner.run(page, given, output_dir=tmp_path, progress=False)
    reason = REFUSED.get((page, name), "")

    assert outcome.status in (("refused",) if reason else ("passed", "skipped")), outcome
    assert re.search(reason, outcome.error)
    assert "\n" not in outcome.error
