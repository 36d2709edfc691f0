"""Clusters that no page of ours built, made in the sandbox by name: what they hold, and that a second time changes nothing."""

import pytest

from aurora_ops.aws import cluster, inventory
from aurora_ops.aws.access import ALL, open_access
from aurora_ops.aws.session import open_session
from aurora_ops.core.errors import InputError
from aurora_ops.rehearsal import foreign
from aurora_ops.sandbox.dataplane import programs

TOKYO, FRANKFURT = "ap-northeast-1", "eu-central-1"
# What the shop holds of each kind, as PostgreSQL counts it.
KINDS = """
SELECT kind, count(*) FROM (
    SELECT relkind::text AS kind FROM pg_class JOIN pg_namespace AS schema ON schema.oid = relnamespace WHERE nspname ~ '^(sales|catalogue)$'
    UNION ALL SELECT 'large object' FROM pg_largeobject_metadata
    UNION ALL SELECT 'unlogged' FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'
    UNION ALL SELECT 'forced row security' FROM pg_class WHERE relforcerowsecurity
    UNION ALL SELECT 'role setting' FROM pg_db_role_setting
    UNION ALL SELECT 'trigger' FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'extension' FROM pg_extension WHERE extname <> 'plpgsql'
) AS found GROUP BY kind
"""


@pytest.fixture(scope="module")
def shop(sandbox):
    foreign.build("shop", TOKYO)
    return open_access(open_session("sandbox", TOKYO), cluster="shop", database=ALL)


def rows(access, query, database=""):
    with access.connect(database=database) as connection:
        return connection.execute(query).fetchall()


def test_the_shop_is_a_cluster_of_its_own_name_port_and_managed_secret(shop):
    """Nothing of it is an environment's: the page finds the way in by what RDS says of the cluster."""
    found = shop.described()

    assert ("shop", 5433, "shopkeeper", "15.12", 2) == (
        found.identifier,
        found.port,
        found.master_username,
        found.engine_version,
        len(found.instances),
    )
    assert "" == shop.environment
    assert "MasterUserSecret" in found.raw
    assert [31, 31] == [one.insights_days for one in found.instances]


def test_the_shop_has_three_databases_and_one_of_them_a_name_with_everything(shop):
    assert tuple(sorted(("postgres", *foreign.WORLDS["shop"].databases))) == tuple(sorted(shop.databases()))
    assert [("行 1",)] == rows(shop, "SELECT 内容 FROM 記録 WHERE id = 1", foreign.ODD_DATABASE)
    assert [("east", 400), ("west", 100)] == rows(
        shop, "SELECT place, count(*) FROM stock GROUP BY 1 ORDER BY 1", "warehouse"
    )


def test_the_shop_holds_each_kind_of_thing(shop):
    """Partitioned tables, views, materialised views, composite types, sequences, large objects, row security, settings."""
    found = dict(rows(shop, KINDS))

    assert {"p": 3, "v": 2, "m": 2, "c": 1, "large object": 3, "unlogged": 1, "forced row security": 1, "trigger": 2} == {
        kind: found[kind] for kind in ("p", "v", "m", "c", "large object", "unlogged", "forced row security", "trigger")
    }  # fmt: skip
    assert found["r"] == 20
    assert found["S"] > 5
    assert found["role setting"] == 3


def test_the_shop_has_extensions_where_postgresql_has_them(shop):
    """On a machine with the wheel's PostgreSQL only, all else of the shop is there."""
    if "postgres_fdw" not in programs.find().extensions:
        pytest.skip("PostgreSQL's own extensions are not installed on this machine")

    assert [(40,)] == rows(shop, "SELECT count(*) FROM extra.accounts WHERE login = upper(login::text)::citext")
    assert [("ware % house",)] == rows(shop, "SELECT srvname FROM pg_foreign_server")


def test_the_content_is_the_same_in_every_shop(shop):
    """What pages find in it can be compared from run to run."""
    query = "SELECT count(*), sum(total), min(invoice) FROM sales.orders"

    assert [(3000, 1489554, 100001)] == rows(shop, query)


def test_building_again_changes_nothing(shop):
    """Also not what somebody did to it since."""
    with shop.connect(read_only=False) as connection:
        connection.execute("DELETE FROM public.t WHERE t = 'T'")
    before = shop.described().raw

    foreign.build("shop", TOKYO)

    assert [(3,)] == rows(shop, "SELECT count(*) FROM public.t")
    assert before["DbClusterResourceId"] == shop.described().raw["DbClusterResourceId"]


def test_what_an_interruption_left_out_is_made_at_the_next_time(shop):
    with shop.connect(database="postgres", read_only=False) as connection:
        connection.execute("DROP DATABASE warehouse")

    foreign.build("shop", TOKYO)

    assert [(500,)] == rows(shop, "SELECT count(*) FROM stock", "warehouse")


def test_a_world_can_stand_in_another_region(sandbox):
    foreign.build("shop", FRANKFURT)

    assert ["shop"] == [one.identifier for one in inventory.clusters(open_session("sandbox", FRANKFURT))]
    assert FRANKFURT in cluster.find(open_session("sandbox", FRANKFURT), "shop").arn


def test_an_unknown_world_is_refused_with_the_nearest_name(sandbox):
    with pytest.raises(InputError, match=r"world .shpo. is unknown, so nothing was built\. Did you mean .shop.\?"):
        foreign.build("shpo")


def test_every_world_is_listed_with_what_is_foreign_about_it():
    assert list(foreign.WORLDS) == [line.split()[0] for line in foreign.listing().splitlines()]


def test_a_world_has_two_hundred_tables_with_rows_in_each(sandbox):
    foreign.build("many-tables", TOKYO)
    access = open_access(open_session("sandbox", TOKYO), cluster="many-tables")

    (counted,) = rows(access, "SELECT count(*), min(n_live_tup), max(n_live_tup) FROM pg_stat_user_tables")
    assert (200, 40, 40) == counted


def test_a_world_is_provisioned_and_its_owner_keeps_the_password(sandbox):
    """The secret is plain text and says by its name whose it is."""
    foreign.build("provisioned", TOKYO)
    access = open_access(open_session("sandbox", TOKYO), cluster="provisioned")

    assert [(2000,)] == rows(access, "SELECT count(*) FROM visits")
    assert "MasterUserSecret" not in access.described().raw
    assert "provisioned" == next(
        one.kind for one in inventory.clusters(access.session) if one.identifier == "provisioned"
    )


def test_a_world_has_no_performance_insights(sandbox):
    foreign.build("no-insights", TOKYO)
    access = open_access(open_session("sandbox", TOKYO), cluster="no-insights")

    assert [(0, "16.10")] == [
        (one.insights_days, access.described().engine_version) for one in access.described().instances
    ]
