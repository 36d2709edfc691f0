"""The comparison on databases of every shape: what is compared, what is not and why, and what it costs to know."""

import pytest
from common import settled_second
from psycopg import sql

from aurora_ops.core.display import Check, Report
from aurora_ops.restore.proof import rules, storage
from aurora_ops.restore.proof.content import bounds, coverage
from aurora_ops.restore.proof.content.comparison import Comparison, steady
from aurora_ops.restore.proof.content.rows import FULL, QUICK, SAMPLED, Reader, Sample
from aurora_ops.restore.proof.content.tables import pin, tables
from aurora_ops.restore.proof.engine import Proof
from aurora_ops.restore.proof.rules import Answer

# The public cases: a login that row security hides rows from, a table that no backup holds, a partitioned one.
ROW_SECURITY = """
CREATE TABLE accounts (id integer PRIMARY KEY, tenant_id integer);
INSERT INTO accounts SELECT i, i % 5 FROM generate_series(1, 500) AS i;
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON accounts USING (tenant_id = current_setting('app.tenant', true)::integer);
CREATE TABLE orders (id integer);
INSERT INTO orders SELECT generate_series(1, 500);
"""
UNLOGGED = "CREATE UNLOGGED TABLE sessions_cache (id integer PRIMARY KEY); INSERT INTO sessions_cache SELECT generate_series(1, 300)"
PARTITIONED = """
CREATE TABLE events (id bigint, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO events VALUES (1, '2026-05-05');
"""


def known(connection):
    """Tables by label."""
    pin(connection)
    return {table.label: table for table in tables(connection)}


@pytest.fixture
def twin(database):
    """A physical copy of the database in the same server: same files, object and transaction ids. Returns how to make it."""
    name = f"{database.name}_twin"

    def make():
        with database.server.connect() as admin:
            admin.execute("CHECKPOINT")
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER postgres").format(
                    *map(sql.Identifier, (name, database.name))
                )
            )
        return type(database)(database.server, name)

    yield make
    with database.server.connect() as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def compared(database, other, to, sample=None):
    """Tables of the two, compared."""
    with Reader(database.connect, to) as source, Reader(other.connect, to) as copy:
        read = source.read([one for one in source.tables() if not one.reason], sample or Sample())
        return {one.table.label: one for one in Comparison("d", source, copy, read).run()}


def test_rows_that_row_security_hides_are_told_before_anything_starts(connection):
    """With what to do; they are never "no rows", and half of the bytes closed is too little to begin with."""
    connection.execute(ROW_SECURITY)
    found = known(connection)["public.accounts"]

    check = coverage.readable([("d", one.label, one.bytes, one.reason) for one in known(connection).values()], 90)

    assert (
        'row level security hides rows from postgres: ALTER ROLE "postgres" BYPASSRLS, or name another login'
        == found.reason
    )
    assert ("FAIL", True) == (check.verdict, found.reason in check.detail)


def test_an_unlogged_table_is_named_and_not_compared(connection):
    """After a recovery it is empty: no loss of the backup's."""
    connection.execute(UNLOGGED)

    assert "UNLOGGED: no backup holds its rows" == known(connection)["public.sessions_cache"].reason


def test_a_partitioned_table_is_read_by_its_leaves(connection):
    """The parent holds no rows of its own, so nothing is read twice."""
    connection.execute(PARTITIONED)

    assert ["public.events_2026"] == list(known(connection))


def test_a_database_without_schema_public_is_compared(database, connection, twin):
    """Whatever schemas there are."""
    connection.execute(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 1 AS t FROM generate_series(1, 9)"
    )
    connection.close()

    assert 9 == compared(database, twin(), settled_second())["app.t"].proved


def test_a_lost_row_is_named_by_its_key_and_a_moved_one_is_counted(database, connection, twin):
    """One row is updated at the source after the restore point: not proved, no fault. Another is gone from the copy: a fault."""
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' FROM generate_series(1, 5000) AS i"
    )
    connection.close()
    to, other = settled_second(), twin()
    with database.connect() as source:
        source.execute("UPDATE t SET v = 'w' WHERE id = 17; DELETE FROM t WHERE id = 18")

    moved = compared(database, other, to)["public.t"]
    with other.connect() as copy:
        copy.execute("DELETE FROM t WHERE id = 4321")
    lost = compared(database, other, to)["public.t"]

    assert (4998, 5000, "") == (moved.proved, moved.rows, moved.finding)
    assert "rows are missing or differ: id 4321" in lost.finding


def test_a_table_that_was_rewritten_since_is_compared_as_a_whole(database, connection, twin):
    """VACUUM FULL moves every row and changes none."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 500)")
    connection.close()
    to, other = settled_second(), twin()
    with database.connect() as source:
        source.execute("VACUUM FULL t")

    same = compared(database, other, to)["public.t"]
    with other.connect() as copy:
        copy.execute("DELETE FROM t WHERE id = 5")
    lost = compared(database, other, to)["public.t"]

    assert (500, "") == (same.proved, same.finding)
    assert "500 rows of before the restore point at the source, 499 in the copy" == lost.finding


def test_without_commit_times_ranges_count_that_were_the_same_before_and_after(database, connection, twin):
    """The steady table is proved, a fault in it found; the other is written to in between and not proved."""
    connection.execute(
        "CREATE TABLE calm AS SELECT i FROM generate_series(1, 90) AS i; CREATE TABLE hot AS SELECT 1 AS i"
    )

    def read():
        with Reader(database.connect, None) as reader:
            return reader.read(reader.tables())

    before = read()
    connection.execute("INSERT INTO hot VALUES (2)")
    after = read()
    connection.close()
    other = twin()

    def ask():
        with Reader(database.connect, None) as source, Reader(other.connect, None) as copy:
            return {one.table.name: one for one in Comparison("d", source, copy, after, steady(before, after)).run()}

    untouched = ask()
    with other.connect() as copy:
        copy.execute("UPDATE calm SET i = 91 WHERE i = 7")

    assert ((90, ""), (0, "")) == tuple((untouched[name].proved, untouched[name].finding) for name in ("calm", "hot"))
    assert "rows are missing or differ" in ask()["calm"].finding


def test_an_index_that_lacks_a_row_is_told_apart_from_lost_rows(database, connection):
    """The finding names the index, the block and the command that mends it."""
    connection.execute(
        "CREATE TABLE t (id int); CREATE INDEX lacking ON t (id); INSERT INTO t SELECT generate_series(1, 9)"
    )
    with database.superuser() as admin:
        admin.execute("UPDATE pg_index SET indisready = false WHERE indexrelid = 'lacking'::regclass")
        connection.execute("INSERT INTO t VALUES (10)")
        admin.execute("UPDATE pg_index SET indisready = true WHERE indexrelid = 'lacking'::regclass")

    indexes, heaps = storage.check("d", database.superuser)

    assert ("FAIL", "PASS") == (indexes.verdict, heaps.verdict)
    assert 'REINDEX INDEX CONCURRENTLY "public"."lacking"' in indexes.detail


@pytest.mark.parametrize(
    ("source", "copy", "verdict", "said"),
    [
        (Answer(0), Answer(0), "PASS", ""),
        (Answer(1, "7"), Answer(1, "7"), "SKIP", "a finding about its data, not about the backup"),
        (Answer(0), Answer(1, "7"), "FAIL", "1 rows in the copy, none at the source"),
        (
            Answer(0),
            Answer(0, missing='relation "payments" does not exist'),
            "FAIL",
            'relation "payments" does not exist in the copy',
        ),
        (Answer(0), Answer(0, unasked="canceling statement"), "SKIP", "no answer of the copy"),
        (Answer(0), Answer(0, is_empty=True), "SKIP", "nothing was looked at"),
    ],
)
def test_a_rule_is_asked_of_both_sides(source, copy, verdict, said):
    """What is broken at the source too is its data's; a missing table is the backup's, and named."""
    check = rules.compare({"one": Answer(0), "two": source}, {"one": Answer(0), "two": copy})[1]

    assert (verdict, True) == (check.verdict, said in check.detail)


def test_rules_of_another_database_are_skipped_in_one_line():
    """A database that is not the nine tables gets a verdict all the same."""
    missing = {"one": Answer(0, missing="payments"), "two": Answer(0, missing="plans")}

    assert ["SKIP"] == [check.verdict for check in rules.compare(missing, missing)]


def test_what_fails_at_the_source_in_the_same_way_is_no_fault_of_the_backup():
    """And what fails in another way is."""
    source = Report("s", (Check("a", "FAIL", "x"), Check("b", "FAIL", "x")))
    copy = Report("c", (Check("a", "FAIL", "x"), Check("b", "FAIL", "y")))

    assert ["SKIP", "FAIL"] == [check.verdict for check in rules.beside_source(source, copy)]


@pytest.mark.parametrize(("depth", "read"), [(FULL, 1000), (SAMPLED, 100), (QUICK, 8)])
def test_a_depth_reads_its_share_and_a_seed_draws_the_same(depth, read):
    """First and last range are always among them; another table or seed draws others."""
    starts = range(0, 512_000, 512)
    drawn = Sample(depth, 10, 7).of(starts, "public.t")

    assert (read, drawn) == (len(drawn), Sample(depth, 10, 7).of(starts, "public.t"))
    assert (0, starts[-1]) == (drawn[0], drawn[-1])
    assert (depth == FULL) == (drawn == Sample(depth, 10, 8).of(starts, "public.t"))


def test_too_little_proved_is_not_a_pass(database, connection, twin):
    """All rows were rewritten since: nothing is proved, and that is said, not passed."""
    connection.execute("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100)")
    connection.close()
    to, other = settled_second(), twin()
    with database.connect() as source:
        source.execute("UPDATE t SET id = id + 1000")

    found = list(compared(database, other, to).values())

    assert ["SKIP"] == [check.verdict for check in coverage.table_checks(found)]
    assert ["proved in part: 0 of 100 rows, 0.0 %; at least 90 % asked"] == [
        check.detail for check in coverage.check(found, 90, FULL)
    ]


def test_a_time_in_the_copy_after_the_restore_point_is_a_finding(database, connection, twin):
    """Rows that somebody wrote to the copy are named."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)")
    connection.close()
    to, other = settled_second(), twin()
    with other.connect() as copy:
        copy.execute("INSERT INTO t VALUES (99)")

    assert "1 rows are later than the restore point: id 99" == compared(database, other, to)["public.t"].finding


def test_a_table_whose_every_row_changed_since_cannot_be_lost_unseen(database, connection, twin):
    """The source was read right after the restore point; then all its rows were rewritten, and the copy lost all of its own."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)")
    connection.close()
    to, other = settled_second(), twin()
    with Reader(database.connect, to) as source, Reader(other.connect, to) as copy:
        read = source.read(source.tables())
        for side, damage in ((database, "UPDATE t SET id = id + 1000"), (other, "DELETE FROM t")):
            with side.connect() as changed:
                changed.execute(damage)
        found = Comparison("d", source, copy, read).run()

    assert ["100 rows of before the restore point, 0 of them in the copy"] == [one.finding for one in found]


def proof_of(database):
    """Of a database that is compared with its twin."""
    return Proof(lambda name, read_only=True: database.connect(), (database.name,))


def rows_checks(proof, other):
    """What the comparison says of tables of public, by name."""
    checks = proof.compare(lambda name, read_only=True: other.connect())
    return {one.name.rpartition("public.")[2]: one for one in checks if one.name.startswith("rows of ")}


@pytest.fixture
def quickly(monkeypatch):
    """Sessions of these tests end before their counters are read, so they have reported them."""
    monkeypatch.setattr(bounds, "_REPORTED_SECONDS", 2)


FILLED = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' FROM generate_series(1, 5000) AS i"


def test_rows_lost_among_rows_that_moved_are_found_where_the_drill_set_the_point(database, connection, twin, quickly):
    """The counters of before the restore point are known: of 5,000 rows and one inserted since at least 5,000 were there at it."""
    connection.execute(FILLED)
    connection.close()
    proof = proof_of(database)
    proof.record_before()
    to, other = settled_second(), twin()
    with database.connect() as source:  # between the restore point and its reading
        source.execute("UPDATE t SET v = 'w'; INSERT INTO t VALUES (6000, 'w')")
    proof.record_after(to)

    whole = rows_checks(proof, other)["t"]
    with other.connect() as copy:
        copy.execute("DELETE FROM t WHERE id <= 10")
    lost = rows_checks(proof, other)["t"]

    assert ("SKIP", "FAIL") == (whole.verdict, lost.verdict)
    assert (
        "4,990 rows, and at least 5,000 at the restore point: the source has 5,001 now and has inserted 1 since"
        == lost.detail
    )


def test_rows_that_the_source_had_deleted_before_are_not_taken_for_moved_ones(database, connection, twin, quickly):
    """A copy of before 300 deletes, offered for one of after them: one update since the restore point does not explain 301 rows."""
    connection.execute(FILLED)
    connection.close()
    other = twin()
    with database.connect() as source:
        source.execute("DELETE FROM t WHERE id <= 300")
    proof = proof_of(database)
    proof.record_before()
    to = settled_second()
    proof.record_after(to)
    with database.connect() as source:
        source.execute("UPDATE t SET v = 'w' WHERE id = 4711")

    found = rows_checks(proof, other)["t"]

    assert (
        "301 rows of before the restore point are only in the copy, and the source has updated or deleted 1 since"
        == found.detail
    )
    assert "FAIL" == found.verdict


def test_counters_that_began_anew_bound_nothing_and_that_is_said(database, connection, twin, quickly):
    """After pg_stat_reset, a crash or a failover."""
    connection.execute(FILLED)
    connection.close()
    proof = proof_of(database)
    proof.record_before()
    to, other = settled_second(), twin()
    with database.connect() as source:
        source.execute("UPDATE t SET v = 'w' WHERE id = 4711")
    proof.record_after(to)
    with database.superuser() as admin:
        admin.execute("SELECT pg_stat_reset()")

    assert (
        "4,999 of 5,000 rows; 1 changed since, and are not proved; the source began to count anew since, so nothing bounds them"
        == rows_checks(proof, other)["t"].detail
    )


def test_a_table_that_was_altered_or_exchanged_since_is_no_finding(database, connection, twin, quickly):
    """A column was added, one was renamed, and a table got another's name; rows of each moved as well."""
    for name in ("added", "renamed", "exchanged"):
        connection.execute(FILLED.replace(" t ", f" {name} "))
    connection.close()
    proof = proof_of(database)
    proof.record_before()
    to, other = settled_second(), twin()
    with database.connect() as source:
        for name in ("added", "renamed", "exchanged"):
            source.execute(f"UPDATE {name} SET v = 'w' WHERE id = 4711")  # noqa: S608
    proof.record_after(to)
    with database.connect() as source:
        source.execute("ALTER TABLE added ADD COLUMN n int DEFAULT 7; ALTER TABLE renamed RENAME v TO x")
        source.execute("ALTER TABLE exchanged RENAME TO old; CREATE TABLE exchanged (id int PRIMARY KEY, v text)")

    found = {name: check.verdict for name, check in rows_checks(proof, other).items()}

    assert {"added": "PASS", "renamed": "SKIP", "exchanged": "SKIP"} == found


OWN = "SELECT o.id FROM orders AS o LEFT JOIN customers AS c ON c.id = o.customer WHERE c.id IS NULL;"


@pytest.fixture
def shop(connection):
    """Orders that belong to customers, but for one that belongs to none."""
    connection.execute(
        "CREATE TABLE customers (id int PRIMARY KEY); CREATE TABLE orders (id int PRIMARY KEY, customer int); INSERT INTO customers VALUES (1); INSERT INTO orders VALUES (1, 1), (2, 9)"
    )
    connection.close()


def own(folder, **files):
    """Rules of one's own."""
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text, encoding="utf-8")
    return rules.load(str(folder))


def test_a_rule_of_ones_own_needs_no_header_and_is_asked_of_the_source_too(database, shop, twin, tmp_path):
    """Broken at the source: a finding about its data. More broken in the copy: one about the backup."""
    known = own(tmp_path, orders_without_customer=OWN)
    other = twin()

    def asked(side):
        with side.connect() as connection:
            return rules.ask(connection, known, "1min")

    as_it_was = (
        rules.compare(asked(database), asked(other)),
        rules.whose(*(asked(one)["orders_without_customer"] for one in (database, other))),
    )
    with other.connect() as copy:
        copy.execute("DELETE FROM customers")
    damaged = (
        rules.compare(asked(database), asked(other)),
        rules.whose(*(asked(one)["orders_without_customer"] for one in (database, other))),
    )

    assert ([("no orders without customer", "SKIP")], "data") == (
        [(one.name, one.verdict) for one in as_it_was[0]],
        as_it_was[1],
    )
    assert ("FAIL", "2 rows in the copy, 1 at the source; the first: 1", "backup") == (
        damaged[0][0].verdict,
        damaged[0][0].detail,
        damaged[1],
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT id FROM ordres", 'relation "ordres" does not exist'),
        ("SELECT nothing FROM orders", 'column "nothing" does not exist'),
        ("DELETE FROM orders RETURNING id", "syntax error at or near"),
        ("SELECT id FROM orders; DROP TABLE orders", 'syntax error at or near ";"'),
        ("SELECT 1 WHERE false", "it reads no table, so that it cannot fail"),
    ],
)
def test_a_rule_that_cannot_be_asked_is_found_before_anything_starts(database, shop, tmp_path, text, said):
    """The file is named: the rule is wrong, not the backup. Nothing that a rule says can change anything."""
    with database.connect() as connection:
        check = rules.check_askable({database.name: connection}, own(tmp_path, wrong=text, right=OWN), "my rules")

    assert ("FAIL", True) == (check.verdict, check.detail.startswith(f"wrong.sql: {said}"))


def test_a_rule_that_takes_too_long_is_the_tools_finding(database, shop, tmp_path):
    """It gave no answer: neither a PASS nor a fault of the backup."""
    with database.connect() as connection:
        answers = rules.ask(
            connection, own(tmp_path, slow="SELECT id FROM orders, LATERAL pg_sleep(1) WHERE id > 0"), "50ms"
        )

    assert ("SKIP", "tool") == (
        rules.compare(answers, answers)[0].verdict,
        rules.whose(answers["slow"], answers["slow"]),
    )


def test_a_folder_without_rules_is_refused(tmp_path):
    """It would prove nothing and pass."""
    with pytest.raises(rules.RulesError, match="there is no rule to ask"):
        rules.load(str(tmp_path))
