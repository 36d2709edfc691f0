"""Extensions as RDS has them: its master user, who is no superuser, creates those of its list and uses them; others are not there."""

import psycopg
import pytest
from psycopg import sql

from aurora_ops.sandbox import extensions
from aurora_ops.sandbox.dataplane import programs

# Of PostgreSQL's own extensions, and how RDS takes them.
NOT_OF_RDS = ("adminpack", "file_fdw", "pageinspect", "pg_surgery", "pg_walinspect", "old_snapshot", "xml2")
KEPT_FOR_SUPERUSERS = (
    "amcheck", "autoinc", "bloom", "dblink", "earthdistance", "insert_username", "moddatetime", "pg_buffercache", "pg_freespacemap", "pg_prewarm",
    "pg_stat_statements", "pg_visibility", "pgrowlocks", "pgstattuple", "postgres_fdw", "refint", "sslinfo",
)  # fmt: skip


@pytest.fixture(autouse=True)
def installed():
    if "pg_stat_statements" not in programs.find().extensions:
        pytest.skip("PostgreSQL's own extensions are not installed on this machine")


@pytest.fixture
def other(postgres_server, database):
    """Connects as somebody who may create things in the database, and is no member of rds_superuser."""
    with postgres_server.connect() as connection:
        connection.execute("CREATE ROLE somebody LOGIN PASSWORD 'only-for-tests'")
        connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO somebody").format(sql.Identifier(database.name)))
    with psycopg.connect(
        host=postgres_server.hosts[0], port=postgres_server.port, dbname=database.name, user="somebody", password="only-for-tests", autocommit=True
    ) as opened:  # fmt: skip
        yield opened
    with database.superuser() as connection:
        connection.execute("DROP OWNED BY somebody CASCADE")
        connection.execute("DROP ROLE somebody")


@pytest.mark.parametrize("name", [one for one in KEPT_FOR_SUPERUSERS if one != "amcheck"])
def test_the_master_user_creates_what_postgresql_keeps_for_superusers(connection, name):
    """RDS lets members of rds_superuser do so, and the extension belongs to who created it. CASCADE brings what it needs."""
    connection.execute(f"CREATE EXTENSION {name} CASCADE")

    owner = connection.execute(
        "SELECT extowner::regrole::text FROM pg_extension WHERE extname = %s", (name,)
    ).fetchone()
    assert ("postgres",) == owner


@pytest.mark.parametrize("name", NOT_OF_RDS)
def test_what_is_not_on_the_list_of_rds_cannot_be_created(connection, name):
    with pytest.raises(psycopg.errors.FeatureNotSupported, match=f'extension "{name}" is not available'):
        connection.execute(f"CREATE EXTENSION {name}")


def test_what_rds_has_is_told_as_rds_tells_it(connection):
    """Whoever reads the list finds in it what can be created, and nothing else."""
    (told,) = connection.execute("SHOW rds.extensions").fetchone()
    can = {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions")}

    assert can == set(told.split(","))
    assert can <= extensions.SUPPORTED


def test_somebody_else_creates_only_what_postgresql_trusts(other):
    """As in RDS since version 13: a trusted extension needs the right to create in the database, another rds_superuser."""
    other.execute("CREATE SCHEMA own")
    other.execute("CREATE EXTENSION citext SCHEMA own")

    with pytest.raises(
        psycopg.errors.InsufficientPrivilege, match='permission denied to create extension "postgres_fdw"'
    ):
        other.execute("CREATE EXTENSION postgres_fdw SCHEMA own")


def test_statements_are_read_and_reset(connection):
    connection.execute("CREATE EXTENSION pg_stat_statements")
    connection.execute("SELECT 4711")

    assert connection.execute(
        "SELECT count(*) > 0 FROM pg_stat_statements WHERE query LIKE 'SELECT $1'"
    ).fetchone() == (True,)
    connection.execute("SELECT pg_stat_statements_reset()")


def test_a_foreign_server_leads_to_another_database(database, connection, postgres_server):
    """What people use postgres_fdw for: the master makes a server, a mapping and a foreign table, and reads it."""
    connection.execute("CREATE EXTENSION postgres_fdw")
    connection.execute("CREATE TABLE there AS SELECT generate_series(1, 3) AS n")
    options = sql.SQL("OPTIONS (host {}, port {}, dbname {})").format(
        postgres_server.hosts[0], str(postgres_server.port), database.name
    )
    connection.execute(sql.SQL("CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw ") + options)
    connection.execute(
        "CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (user 'postgres', password 'only-for-tests')"
    )
    connection.execute("CREATE FOREIGN TABLE here (n integer) SERVER other OPTIONS (table_name 'there')")

    assert (6,) == connection.execute("SELECT sum(n) FROM here").fetchone()


def test_the_master_lets_others_use_a_foreign_data_wrapper(connection):
    connection.execute("CREATE EXTENSION postgres_fdw")
    connection.execute("GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO PUBLIC")

    assert (True,) == connection.execute(
        "SELECT has_foreign_data_wrapper_privilege('rds_iam', 'postgres_fdw', 'USAGE')"
    ).fetchone()


def test_dblink_asks_another_database(database, connection, postgres_server):
    connection.execute("CREATE EXTENSION dblink")
    where = f"host={postgres_server.hosts[0]} port={postgres_server.port} dbname={database.name} user=postgres password=only-for-tests"

    assert [(5,)] == connection.execute("SELECT n FROM dblink(%s, 'SELECT 5') AS t(n integer)", (where,)).fetchall()


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("pgstattuple", "SELECT tuple_count > 0 FROM pgstattuple('pg_class')"),
        ("pg_buffercache", "SELECT count(*) > 0 FROM pg_buffercache"),
        ("pg_freespacemap", "SELECT count(*) >= 0 FROM pg_freespace('pg_class')"),
        ("pg_visibility", "SELECT count(*) >= 0 FROM pg_visibility_map('pg_class')"),
        ("pgrowlocks", "SELECT count(*) >= 0 FROM pgrowlocks('kept')"),
        ("pgcrypto", "SELECT digest('a', 'sha256') IS NOT NULL"),
        ("sslinfo", "SELECT ssl_is_used() IS NOT NULL"),
    ],
)
def test_functions_of_an_extension_can_be_called(connection, name, query):
    """PostgreSQL keeps some of them for pg_monitor and pg_stat_scan_tables, of which rds_superuser is a member."""
    connection.execute("CREATE TABLE kept (n integer)")
    connection.execute(f"CREATE EXTENSION {name}")

    assert (True,) == connection.execute(query).fetchone()


def test_every_check_of_amcheck_can_be_called(connection):
    """It is there already, since checks of a restore use it."""
    connection.execute("CREATE TABLE kept (n integer PRIMARY KEY)")

    connection.execute("SELECT bt_index_parent_check('kept_pkey', true), bt_index_check('kept_pkey')")
    assert [] == connection.execute("SELECT * FROM verify_heapam('kept')").fetchall()


def test_an_extension_is_dropped_and_created_at_an_earlier_version(connection):
    """Its scripts from an older version on are there, too."""
    connection.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    connection.execute("ALTER EXTENSION pg_stat_statements UPDATE")
    connection.execute("DROP EXTENSION pg_stat_statements")


def test_a_dump_does_not_carry_what_the_sandbox_grants(connection):
    """The grants are the extension's own, as in RDS: PostgreSQL knows them as its initial privileges."""
    connection.execute("CREATE EXTENSION postgres_fdw")

    assert (
        []
        == connection.execute(
            """SELECT fdwname FROM pg_foreign_data_wrapper AS f
             JOIN pg_init_privs AS i ON i.objoid = f.oid AND i.classoid = 'pg_foreign_data_wrapper'::regclass
            WHERE f.fdwacl <> i.initprivs"""
        ).fetchall()
    )
    assert (1,) == connection.execute(
        "SELECT count(*) FROM pg_init_privs WHERE classoid = 'pg_foreign_data_wrapper'::regclass"
    ).fetchone()
