"""An engine upgrade of a cluster that nothing of ours made: what stands in its way, rehearsed on a copy, done, on real servers of 15 and 16."""

import os
import secrets
from dataclasses import replace

import pytest
from common import INSTANCE, describe, failed
from sandboxes import in_use

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.core.plan import PlanChangedError
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.upgrade import observed, obstacles, procedure
from aurora_ops.upgrade.observed import Heavy, Observed, Planned
from aurora_ops.upgrade.procedure import UpgradeRefusedError
from aurora_ops.upgrade.target import UpgradeTargetError

MAJORS = {one.major: one for one in programs.installed((15, 16))}
OWN = {
    "DatabaseName": "shop",
    "ManageMasterUserPassword": True,
    "MasterUserPassword": None,
    "EngineVersion": "15.10",
    "Port": 6432,
}
HEAVY = Heavy("shop", "SELECT * FROM orders WHERE id = $1", "app", 10, 1.0)


@pytest.fixture(scope="module")
def sandbox():
    """A sandbox whose clusters of 16 run on PostgreSQL 16."""
    if set(MAJORS) != {15, 16}:
        pytest.skip("PostgreSQL 15 and 16 are not both on this machine")
    folders = os.pathsep.join(str(one.directory) for one in MAJORS.values())
    with pytest.MonkeyPatch.context() as patch, in_use(f"test-upgrade-{secrets.token_hex(3)}") as name:
        patch.setenv(programs.PROGRAMS_VARIABLE, folders)
        yield lifecycle.start(name)


@pytest.fixture
def make(rds):
    """A cluster with a table, and an upgrade of it."""

    def make(statements=(), *, change=None, **options):
        name = f"shop-{secrets.token_hex(3)}"
        wanted = {key: value for key, value in (OWN | (change or {})).items() if value is not None}
        rds.create_db_cluster(
            DBClusterIdentifier=name,
            Engine="aurora-postgresql",
            MasterUsername="keeper",
            ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4},
            **wanted,
        )
        rds.create_db_instance(DBInstanceIdentifier=f"{name}-a", DBClusterIdentifier=name, **INSTANCE)
        access = open_access(open_session(), cluster=name)
        with access.connect(read_only=False) as connection:
            connection.execute("CREATE TABLE orders (id int PRIMARY KEY, word text)")
            connection.execute("INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(1, 5000) g")
            for one in statements:
                connection.execute(one)
        return procedure.upgrade_engine(access, **({"to_version": "16.10"} | options))

    return make


def ours(rds):
    """The clusters that a rehearsal made."""
    found = rds.describe_db_clusters()["DBClusters"]
    return [one["DBClusterIdentifier"] for one in found if "-drill-" in one["DBClusterIdentifier"]]


def test_the_whole_way_from_15_to_16_rehearsed_and_done(make, rds):
    """The copy says that rows and extensions are the same on a server of 16; then the cluster has the version, statistics and its rows. The copy goes."""
    change = make()
    name = change.access.identifier
    checked, rehearsed, plan = change.preflight(), change.rehearse(), change.plan()
    copies, still = ours(rds), describe(rds, name)["EngineVersion"]
    line = change.apply()
    verified, left = change.verify(), change.afterwards()
    cleaned = procedure.clean_up("sandbox", "ap-northeast-1", cluster=name)

    assert ([], [], []) == (failed(checked), failed(rehearsed), failed(verified))
    by_name = {one.name: one for one in rehearsed.checks}
    assert ("PASS", "5,000 rows of 1 table") == (
        by_name["rows are the same"].verdict,
        by_name["rows are the same"].detail,
    )
    assert "PASS" == by_name["the server behind is of the new version"].verdict
    assert (1, "15.10", "16.10", "PASS") == (len(copies), still, describe(rds, name)["EngineVersion"], cleaned.verdict)
    assert [("15.10", "16.10", True)] == [(one.before, one.after, one.interrupts) for one in plan.changes]
    assert f"UPGRADED {plan.id} (confirmed by itself in the sandbox): {name} from 15.10 to 16.10" == str(line)
    assert [] == ours(rds)
    with change.access.connect() as connection:
        assert (16, 5000) == (
            connection.info.server_version // 10000,
            connection.execute("SELECT count(*) FROM orders").fetchone()[0],
        )
    assert any(f"preupgrade-{name}-15-10-to-16-10" in str(row[1]) for row in left.rows)
    assert change.result()["unreachable_seconds"] > 0


def test_a_library_that_the_new_version_lacks_fails_the_rehearsal_and_the_cluster_is_not_touched(make, rds):
    """The preflight cannot know it and says so; the rehearsal has PostgreSQL's own words, and apply refuses."""
    change = make(["CREATE EXTENSION pg_trgm"])
    checked, rehearsed = change.preflight(), change.rehearse()

    assert [] == failed(checked)
    assert "FAIL" == rehearsed.verdict
    assert "pg_trgm" in rehearsed.checks[0].detail
    with pytest.raises(UpgradeRefusedError, match=r"the rehearsal fails, so .* was not changed"):
        change.apply()
    assert "15.10" == describe(rds, change.access.identifier)["EngineVersion"]
    assert "PASS" == procedure.clean_up("sandbox", "ap-northeast-1", cluster=change.access.identifier).verdict


def test_what_is_in_the_way_is_named_before_anything_is_made(make, rds):
    """A column of a type that is not carried over, also through a domain: its database, table and column; nothing is restored or changed."""
    change = make(["CREATE DOMAIN handler AS regproc", "CREATE TABLE odd (id int, f handler)"])
    checked = change.preflight()

    assert ["no column has a type that is not carried over"] == failed(checked)
    (found,) = [one.detail for one in checked.checks if one.verdict == "FAIL"]
    assert found.startswith("shop: public.odd.f. ALTER TABLE")
    with pytest.raises(UpgradeRefusedError, match="nothing was restored or changed"):
        change.rehearse()
    with pytest.raises(UpgradeRefusedError, match="nothing was changed"):
        change.apply()
    assert ([], "15.10") == (ours(rds), describe(rds, change.access.identifier)["EngineVersion"])


def test_a_custom_group_needs_a_successor_and_a_setting_that_is_lost_is_named(make, rds):
    """Of the wrong family, missing, and right but without one of the settings."""
    for family in (15, 16):
        rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName=f"own{family}",
            DBParameterGroupFamily=f"aurora-postgresql{family}",
            Description="-",
        )
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName="own15",
        Parameters=[{"ParameterName": "work_mem", "ParameterValue": "8192", "ApplyMethod": "immediate"}],
    )
    change = make(change={"DBClusterParameterGroupName": "own15"})

    def said(group):
        checks = replace(change, target=replace(change.target, cluster_group=group)).preflight().checks
        return next((one.verdict, one.detail) for one in checks if one.name.startswith("the cluster parameter group"))

    assert (
        "FAIL",
        "own15 is custom (it sets work_mem=8192). Make one of family aurora-postgresql16 and name it: -p cluster_parameter_group NAME",
    ) == said("")
    assert ("FAIL", "none does not exist. Make it, of family aurora-postgresql16") == said("none")
    assert ("FAIL", "own15 is of family aurora-postgresql15, and 16.10 needs aurora-postgresql16") == said("own15")
    assert ("PASS", "own16; not set any more: work_mem=8192") == said("own16")


@pytest.mark.parametrize("asked", ["14.18", "15.11", "19", "latest"])
def test_what_aws_does_not_offer_from_here_is_refused_with_what_it_offers(make, asked):
    change = make(rehearse=False)
    with pytest.raises(
        UpgradeTargetError, match=r"is no upgrade of .*, which has 15.10, so nothing was changed. AWS offers .*16.10"
    ):
        procedure.upgrade_engine(change.access, asked)


def test_without_a_confirmed_plan_a_live_target_is_not_changed(make, rds, live):
    """A dry run names the id; an id of another state is refused."""
    change = make(rehearse=False)
    change = replace(change, access=replace(change.access, session=live))

    assert f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {change.plan().id}" == str(
        change.apply()
    )
    with pytest.raises(PlanChangedError):
        change.apply("00000000")
    assert "15.10" == describe(rds, change.access.identifier)["EngineVersion"]


# -- what is asked of one database, without a cluster -----------------------------------------------------------------


def asked(database):
    """The failing obstacles of a server, with their words."""
    connect = lambda name: database.connect()  # noqa: E731 - what `check` takes
    return {
        one.name: one.detail
        for one in obstacles.check(connect, [database.name], running=15, wanted=16)
        if one.verdict == "FAIL"
    }


def test_a_sound_database_has_no_obstacle(database):
    assert {} == asked(database)


@pytest.mark.parametrize(
    ("made", "name", "begins"),
    [
        ("CREATE TABLE t (c aclitem[])", "no column has a type that is not carried over", "public.t.c"),
        ("CREATE TYPE pair AS (n int, o regoper); CREATE TABLE t (c pair)", "no column has a type that is not carried over", "public.t.c"),
        ("CREATE TABLE t (c regclass, d regtype, e regrole)", "", ""),
    ],
)  # fmt: skip
def test_columns_that_are_not_carried_over(database, connection, made, name, begins):
    """Also inside an array or a composite; what pg_upgrade preserves is no obstacle."""
    connection.execute(made)

    found = asked(database)
    assert ({name: f"{database.name}: {begins}"} if name else {}) == {
        key: value.split(". ")[0] for key, value in found.items()
    }


def test_a_database_of_an_interrupted_drop_and_a_closed_one_are_named(database, postgres_server):
    """datconnlimit -2 is what an interrupted DROP DATABASE leaves."""
    names = [f"{database.name}_half", f"{database.name}_closed"]
    with postgres_server.connect() as admin:
        for name in names:
            admin.execute(f'CREATE DATABASE "{name}"')
        admin.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s", names[:1])
        admin.execute("UPDATE pg_database SET datallowconn = false WHERE datname = %s", names[1:])
    try:
        found = asked(database)
    finally:
        with postgres_server.connect() as admin:
            admin.execute(
                "UPDATE pg_database SET datconnlimit = -1, datallowconn = true WHERE datname = ANY (%s)", [names]
            )
            for name in names:
                admin.execute(f'DROP DATABASE "{name}"')

    assert f"{names[0]}. DROP DATABASE each" == found["no database is left of an interrupted DROP"]
    assert found["every database accepts connections"].startswith(f"{names[1]}. ALTER DATABASE")


# -- what before and after are compared by ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "name", "detail"),
    [
        ({"rows": {"shop: public.orders": (4999, 7)}}, "rows are the same", "not in shop: public.orders"),
        ({"extensions": {}}, "extensions are there", "gone: shop: amcheck"),
        ({"plans": {HEAVY: Planned(300, ("Seq Scan of orders",))}}, "the heaviest statements are planned as well as before", "SELECT * FROM orders WHERE id = $1: cost 8 -> 300"),
        ({"plans": {HEAVY: Planned(refused="no operator")}}, "the heaviest statements are planned as well as before", "SELECT * FROM orders WHERE id = $1: no operator"),
    ],
)  # fmt: skip
def test_what_the_new_version_changed_for_the_worse_is_a_finding(after, name, detail):
    """Rows, extensions, costs, a statement that is refused; nothing of it where nothing changed."""
    known = {
        "rows": {"shop: public.orders": (5000, 7)},
        "extensions": {"shop: amcheck": ("1.3", "1.3")},
        "plans": {HEAVY: Planned(8.3, ("Index Scan of orders by orders_pkey",))},
    }
    before = Observed(**known)

    assert [] == [one for one in observed.compare(before, Observed(**known), 2) if one.verdict == "FAIL"]
    assert [(name, detail)] == [
        (one.name, one.detail)
        for one in observed.compare(before, Observed(**(known | after)), 2)
        if one.verdict == "FAIL"
    ]
