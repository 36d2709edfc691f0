"""Definitions are compared while other sessions change them: what is read of an object that goes away, and of one whose neighbours are renamed."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from common import HANG, settled_second, soon
from psycopg import sql

from aurora_ops.restore.proof.content.tables import pin
from aurora_ops.restore.proof.made_of import catalogs
from aurora_ops.restore.proof.made_of.definitions import differences

MADE = """
CREATE TABLE parts (id int PRIMARY KEY, price int DEFAULT 7 CHECK (price > 0));
CREATE INDEX cheap ON parts (price) WHERE price < 100;
CREATE VIEW prices AS SELECT price FROM parts;
"""
WAITS = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"


def read(connection):
    """The database's definitions, as the drill reads them."""
    pin(connection)
    return catalogs.of_database(connection, timed=True)


def told(found):
    """Findings, and what is not proved."""
    return found.findings, found.untold


def test_an_object_that_is_dropped_while_it_is_read_is_no_difference(database, connection):
    """Its row is of the snapshot, and PostgreSQL describes it as it is now: not at all. A copy that has it has what the source had."""
    connection.execute(MADE)
    copy = read(connection)
    with database.connect(autocommit=False) as slow:
        slow.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        slow.execute("SELECT 1 FROM pg_class LIMIT 1")  # its snapshot is taken
        connection.execute("ALTER TABLE public.parts DROP CONSTRAINT parts_price_check, ALTER price DROP DEFAULT")
        source = read(slow)

    passing = [one.name for one in source.values() if one.passing]
    assert ["pg_attrdef", "pg_constraint"] == sorted({name.split()[0] for name in passing} - {"pg_depend"})
    assert ((), ()) == told(differences([source, source], copy, settled_second()))


def test_a_view_that_is_dropped_while_it_is_waited_for_is_read_without_an_error(database, connection):
    """PostgreSQL then says "cache lookup failed": the reading is made again."""
    connection.execute(MADE)
    with database.connect(autocommit=False) as dropping, database.connect() as reading, ThreadPoolExecutor(1) as pool:
        dropping.execute("DROP VIEW prices")
        found = pool.submit(read, reading)
        soon(True, lambda: bool(connection.execute(WAITS, [reading.info.backend_pid]).fetchone()))
        dropping.commit()

        assert "rule _RETURN on view public.prices" not in {one.name for one in found.result(HANG).values()}


@pytest.mark.parametrize(
    "renamed",
    [
        "TABLE public.parts RENAME COLUMN price TO cost",
        "TABLE public.parts RENAME TO pieces",
        "SCHEMA public RENAME TO app",
    ],
)
def test_an_object_that_is_renamed_since_changes_no_object_beside_it(database, connection, renamed):
    """The text of an index or a view holds names of others. With one reading, of now, only the renamed one has changed since, and is told as such."""
    connection.execute(MADE)
    copy, to = read(connection), settled_second()
    connection.execute(sql.SQL("ALTER ") + sql.SQL(renamed))

    findings, untold = told(differences([read(connection)], copy, to))

    assert ((), True) == (findings, len(untold) > 0)
