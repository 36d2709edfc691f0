"""Fingerprints of a database on real PostgreSQL: nine faults, each alone, and what must not count as one."""

from pathlib import Path

import psycopg
import pytest
from common import failed

from aurora_ops.schema import fingerprint
from aurora_ops.schema.fingerprint import NothingToCompareError, UnreadableTableError
from aurora_ops.schema.loader import load

CONTENT_FAULTS = {
    "an index is missing": ("DROP INDEX idx_payments_subscription_id", "catalog"),
    "one value changed": ("UPDATE payments SET amount = amount + 1 WHERE stripe_payment_intent_id = 'pi_7'", "payments"),
    "a row lost and a later row": ("UPDATE payments SET id = gen_random_uuid() WHERE stripe_payment_intent_id = 'pi_7'", "payments"),
    "the tables are empty": ("TRUNCATE tenants, processed_webhooks, payment_events CASCADE", "payments"),
    "an orphan": ("INSERT INTO payments (subscription_id, stripe_payment_intent_id, amount, status) VALUES (gen_random_uuid(), 'pi_x', 1, 'pending')", "payments"),
    "two rows doubled": ("ALTER TABLE processed_webhooks DROP CONSTRAINT processed_webhooks_pkey, DROP CONSTRAINT processed_webhooks_webhook_id_key; INSERT INTO processed_webhooks TABLE processed_webhooks", "processed_webhooks"),
    "a foreign key is not validated": (
        "ALTER TABLE users DROP CONSTRAINT users_tenant_id_fkey, ADD CONSTRAINT users_tenant_id_fkey "
        "FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE NOT VALID", "catalog"),
    "a table is gone": ("DROP TABLE processed_webhooks", "processed_webhooks"),
}  # fmt: skip


@pytest.mark.parametrize("fault", CONTENT_FAULTS)
def test_the_fingerprint_catches(database, connection, small_content, fault):
    """
    One fault, and the comparison with the source is FAIL at the object concerned.
    """
    statement, caught_by = CONTENT_FAULTS[fault]
    source = fingerprint.read(connection)
    with database.superuser() as admin, admin.transaction():
        admin.execute("SET LOCAL session_replication_role = replica")
        admin.execute(statement)

    report = fingerprint.compare(source, fingerprint.read(connection))

    assert "FAIL" == report.verdict
    assert caught_by in failed(report)


def test_equal_databases_have_equal_fingerprints(database, connection, small_content):
    """
    Rewriting every row in another physical order, read by a session with other text settings, changes nothing.
    """
    connection.execute(
        "CREATE TABLE moments AS SELECT now() AS at, interval '36 hours' AS lasting, 0.1::float8 AS share"
    )
    source = fingerprint.read(connection)
    connection.execute(
        "CREATE TEMPORARY TABLE kept AS TABLE payments; DELETE FROM payments; INSERT INTO payments SELECT * FROM kept ORDER BY amount, id DESC"
    )
    with database.connect(options="-c timezone=Asia/Tokyo -c datestyle=German -c extra_float_digits=-3") as other:
        report = fingerprint.compare(source, fingerprint.read(other))

    assert "PASS" == report.verdict, report._repr_markdown_()


def test_an_empty_source_proves_nothing(connection):
    """
    Two empty databases are equal, and that is no proof; one empty table among full ones is SKIP.
    """
    load(connection)
    empty = fingerprint.read(connection)

    assert empty.is_vacuous
    with pytest.raises(NothingToCompareError, match="9 tables and no rows"):
        fingerprint.compare(empty, empty)

    connection.execute("INSERT INTO tenants (name, subdomain) VALUES ('a', 'a')")
    one = fingerprint.read(connection)
    verdicts = {check.name: check.verdict for check in fingerprint.compare(one, one).checks}
    assert ("PASS", "SKIP") == (verdicts["tenants"], verdicts["users"])


def test_a_damaged_page_is_a_finding(database, connection, small_content):
    """
    One flipped bit in a table's file: with checksums the read itself is refused, and that is a verdict on the copy, not an error.
    """
    path, offset = locate(connection)
    restart(database.server, flip=(database.server.data / path, offset))

    with database.connect() as after, pytest.raises(UnreadableTableError, match="table payments cannot be read"):
        fingerprint.read(after)


def test_a_flipped_bit_without_checksums_changes_the_fingerprint(database, connection, small_content):
    """
    Where no checksum guards the page, the content's fingerprint is what notices.
    """
    source = fingerprint.read(connection)
    path, offset = locate(connection)
    restart(database.server, flip=(database.server.data / path, offset))

    with database.superuser() as admin:
        admin.execute("SET ignore_checksum_failure = on")
        assert "payments" in failed(fingerprint.compare(source, fingerprint.read(admin)))


def locate(connection: psycopg.Connection) -> tuple[str, bytes]:
    connection.execute("CHECKPOINT")
    return connection.execute("SELECT pg_relation_filepath('payments')").fetchone()[0], b"pi_7"


def restart(server, flip: tuple[Path, bytes]) -> None:
    hosts, port = server.hosts, server.port
    server.stop()
    path, word = flip
    content = bytearray(path.read_bytes())
    content[content.index(word) + 3] ^= 1
    path.write_bytes(content)
    server.start(hosts, port, archiving=False)
    server.wait()
