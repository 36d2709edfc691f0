"""A fleet in trouble: an account that denies, one that throttles, a cluster that is broken. The report names each, and counts it apart."""

import csv
import re
from contextlib import contextmanager

import pytest
from fleet_play import PAGE, SIZES, only

from aurora_ops.fleet import plan as plans
from aurora_ops.rehearsal import fleets

PLANNED = fleets.plan(SIZES)
DENIED, THROTTLED = "payments", "logistics"  # the broken one is the latter's


@contextmanager
def faulty(played, account, **faults):
    """Faults of an account's operations, by code; afterwards nothing of them is left. Who is broken is so before and after: other tests reset the account."""
    found, _ = played.of(account)
    _break(found, account)
    for code, (operation, times) in faults.items():
        found.fail(operation, code, times, status=403 if code == "AccessDenied" else 400)
    try:
        yield
    finally:
        found.clear()
        _break(found, account)


def _break(found, account):
    for one in PLANNED[account]:
        if one.broken:
            found.become(one.name, one.broken)


def rows(folder):
    with (folder / "fleet.csv").open(encoding="utf-8") as file:
        return {row["cluster"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def reported(played, tmp_path_factory):
    """The page of versions and the cost page while one account denies everything and the other throttles twice: how they ended, and their folders."""
    found = {}
    for page, words in (("versions", ["versions"]), (PAGE, ["run", PAGE, "--figures-only"])):
        folder = tmp_path_factory.mktemp(page)
        with (
            faulty(played, DENIED, AccessDenied=("DescribeDBClusters", 1000)),
            faulty(played, THROTTLED, Throttling=("DescribeDBInstances", 2)),
        ):
            found[page] = played.ask(*words, "--output-dir", folder), only(folder)
    return found


@pytest.mark.parametrize("page", ["versions", PAGE])
def test_an_account_that_denies_is_named_in_each_region_and_the_run_ends_with_no_verdict(reported, page):
    done, folder = reported[page]

    assert 3 == done.returncode, done.stdout + done.stderr
    assert "--resume" not in done.stdout  # every cluster that was found has its verdict: nothing is to be gone on with
    assert [[DENIED, region, "AccessDenied"] for region in fleets.REGIONS[: SIZES.regions]] == [
        [*one] for one in plans.read(folder).refused
    ]
    html = (folder / "index.html").read_text()
    assert "<h2>Not looked at</h2>" in html
    assert "Nothing is known of 2 places that refused." in html


@pytest.mark.parametrize("page", ["versions", PAGE])
def test_an_account_that_throttles_and_then_answers_is_whole(reported, page):
    """Botocore asks again, with a growing pause, as AWS's guide to throttling wants it."""
    _, folder = reported[page]

    assert {one.name for one in PLANNED[THROTTLED]} == set(rows(folder))


@pytest.mark.parametrize("page", ["versions", PAGE])
def test_a_cluster_that_is_broken_is_named_with_its_status_and_counted_apart(reported, page):
    """Whatever the page says of it: what it costs is known, and that nobody can use it has to be said."""
    _, folder = reported[page]
    broken = {one.name: one.broken for one in PLANNED[THROTTLED] if one.broken}
    html = (folder / "index.html").read_text()

    assert 1 == len(broken)
    assert broken == {name: row["status"] for name, row in rows(folder).items() if row["status"] != "available"}
    assert "1 cluster is broken, by RDS&#x27;s own word." in html
    assert [*re.findall(r"<li><b>([\w-]+)</b> of logistics in [\w-]+: ([\w-]+)</li>", html)] == [*broken.items()]


def test_an_account_that_never_stops_throttling_is_named_with_that_reason(played, tmp_path):
    """Its clusters are not guessed: the list has those of the other account, and says who is missing."""
    with faulty(played, THROTTLED, Throttling=("DescribeDBClusters", 1000)):
        done = played.ask("list")

    assert {one.name for one in PLANNED[DENIED]} == {line.split()[2] for line in done.stdout.splitlines() if line.startswith(f"  {DENIED}")}  # fmt: skip
    for region in fleets.REGIONS[: SIZES.regions]:
        assert f"{THROTTLED} in {region}: not looked at (Throttling" in done.stdout
    assert "2 places refused" in done.stdout.splitlines()[-1]


def test_a_slow_rate_of_an_account_costs_time_and_no_cluster(played):
    """Two calls a second of each Region, and no burst: the other account does not wait, and nothing is missing."""
    _, controls = played.of(THROTTLED)
    controls.rate(per_second=2, burst=1)
    try:
        done = played.ask("list")
    finally:
        controls.reset()
        controls.quota("DBClusters", 1000)
        controls.quota("DBInstances", 3000)

    assert 0 == done.returncode
    assert f"{SIZES.clusters} clusters in 4 of 4 places" in done.stdout.splitlines()[-1]
