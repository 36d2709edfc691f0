"""Files that other tools, editors and pg_dump write: each kind is run as meant, or refused by line before anything runs.

The situations are public reports: ts-safeql/safeql#394, golang-migrate/migrate#1136, amacneil/dbmate#735, rubenv/sql-migrate#8,
mattes/migrate#246, margince/margince#1844, strelov1/freehire#1284, artifact-keeper/artifact-keeper#1304.
"""

import psycopg
import pytest
from common import failed

from aurora_ops.schema import procedure as schema
from aurora_ops.schema.catalog import verify_catalog, write_catalog
from aurora_ops.schema.failures import SchemaBlockedError, SchemaChangedError, SchemaFileError, SchemaTimeoutError
from aurora_ops.schema.files import SchemaFilesError, not_taken, read
from aurora_ops.schema.ledger import history
from aurora_ops.schema.loader import load, try_out

TABLE = "CREATE TABLE sales (id integer PRIMARY KEY, day date);\n"
TWICE = "INSERT INTO sales VALUES (1, '2026-01-01'), (2, '2026-01-01');\n"
INDEX = "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY sales_by_day ON sales (day);\n"


@pytest.fixture
def folder(tmp_path):
    def write(*texts, names=()):
        for number, text in enumerate(texts, 1):
            name = names[number - 1] if names else f"{number:03}_file.sql"
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def exists(connection, name):
    return connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()[0]


@pytest.mark.parametrize(
    "marker",
    [
        "-- migrate:down",
        "-- +goose Down",
        "-- +migrate Down",
        "-- //@UNDO",
        "---- create above / drop below ----",
        "-- Down Migration",
    ],
    ids=["dbmate", "goose", "sql-migrate", "MyBatis", "tern", "node-pg-migrate"],
)
def test_a_file_with_a_way_down_is_refused_by_its_marker(connection, folder, marker):
    """Run as a whole it creates the table and drops it again, and says OK."""
    directory = folder(f"-- migrate:up\n{TABLE}\n{marker}\nDROP TABLE sales;\n")

    with pytest.raises(SchemaFilesError, match=r"001_file\.sql line 4 .*a way down.*Nothing was run"):
        load(connection, directory)
    assert not exists(connection, "ops.schema_history")


def test_liquibases_way_down_is_refused_in_a_file_of_liquibase_only(folder):
    """Elsewhere the word may begin any comment."""
    with pytest.raises(SchemaFilesError, match=r"line 4 is '--rollback': the file holds a way up and a way down"):
        read(folder(f"--liquibase formatted sql\n--changeset me:1\n{TABLE}--rollback DROP TABLE sales;\n"))

    assert 1 == len(read(folder(f"-- rollback plan: restore to before\n{TABLE}")))


def test_a_file_in_capitals_is_not_left_out_without_a_word(folder):
    with pytest.raises(SchemaFilesError, match=r"002_b\.SQL does not tell its place"):
        read(folder(TABLE, "SELECT 1;", names=("001_a.sql", "002_b.SQL")))


def test_files_that_lie_deeper_are_named(folder):
    directory = folder(TABLE)
    (directory / "later").mkdir()
    (directory / "later" / "002_more.sql").write_text("SELECT 1;")

    assert (["001_file.sql"], ["later/002_more.sql"]) == ([one.name for one in read(directory)], not_taken(directory))


def test_a_byte_order_mark_is_read_over_and_is_no_edit(connection, folder):
    load(connection, folder(b"\xef\xbb\xbf" + TABLE.encode()))

    assert exists(connection, "public.sales")
    assert [] == load(connection, folder(TABLE))


@pytest.mark.parametrize("encoding", ["utf-16", "cp932"])
def test_another_encoding_is_named(folder, encoding):
    with pytest.raises(SchemaFilesError, match="not UTF-8"):
        read(folder("-- 売上\n".encode(encoding)))


def test_what_pg_dump_writes_around_its_text_is_skipped(connection, folder):
    r"""\restrict and \unrestrict are psql's, since August 2025 in every dump. Lines keep their numbers."""
    directory = folder(f"\\restrict abc\n{TABLE}\\unrestrict abc\nSELECT no_such_column;\n")

    with pytest.raises(SchemaFileError, match="line 4: column"):
        load(connection, directory)
    load(connection, folder(f"\\restrict abc\n{TABLE}\\unrestrict abc\n"))
    assert exists(connection, "public.sales")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("\\c other", r"line 2 is \\c, a command of the program psql"),
        ("  \\i more.sql", r"line 2 is \\i, a command"),
        ("COPY sales FROM stdin;\n1\t2026-01-01\n\\.", "line 2 is COPY … FROM STDIN|a command of the program psql"),
        ("copy sales (id)\nfrom STDIN;", "line 3 is COPY … FROM STDIN"),
        ("BEGIN;", "line 2 is BEGIN: each file is a transaction of its own"),
        ("SELECT 1; COMMIT;", "line 2 is COMMIT"),
        ("START\nTRANSACTION;", "line 3 is START TRANSACTION"),
        ("/* a /* nested */ one */ ROLLBACK;", "line 2 is ROLLBACK"),
        ("END;", "line 2 is END"),
    ],
)
def test_what_is_no_sql_of_a_file_is_refused_by_line(connection, folder, line, said):
    with pytest.raises(SchemaFilesError, match=said):
        load(connection, folder(f"{TABLE}{line}\n"))
    assert not exists(connection, "public.sales")


def test_the_same_words_inside_texts_and_functions_are_run_as_they_are(connection, folder):
    text = r"""
    COMMENT ON SCHEMA public IS 'BEGIN; COMMIT; -- migrate:down
\c nowhere';
    CREATE FUNCTION one() RETURNS integer LANGUAGE plpgsql AS $body$ BEGIN RETURN 1; END $body$;
    CREATE FUNCTION two() RETURNS integer BEGIN ATOMIC SELECT 1; SELECT 2; END;
    CREATE TABLE a$b$c (id integer); -- $b$
    CREATE TABLE "COPY x FROM STDIN" ("BEGIN" text DEFAULT E'it\'s; COMMIT;');
    -- COMMIT; and \q in a comment
    """
    load(connection, folder(text))

    assert (2,) == connection.execute("SELECT two()").fetchone()
    assert exists(connection, '"COPY x FROM STDIN"')


def test_an_index_can_be_created_concurrently_in_a_file_that_says_so(connection, folder):
    load(connection, folder(TABLE, INDEX))

    assert [1, 2] == list(history(connection))
    assert (True,) == connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'sales_by_day'::regclass"
    ).fetchone()
    assert ("0",) == connection.execute("SELECT current_setting('lock_timeout')").fetchone()


def test_without_the_mark_the_advice_is_the_mark(connection, folder):
    with pytest.raises(SchemaFileError, match="first line is `-- no-transaction`"):
        load(connection, folder(TABLE, INDEX.partition("\n")[2]))
    assert [1] == list(history(connection))


def test_an_invalid_index_of_a_failed_attempt_is_named_and_removed_by_the_next(connection, folder):
    """A duplicate makes the unique index fail: PostgreSQL leaves it invalid, and its name taken."""
    directory = folder(TABLE + TWICE, INDEX)
    with pytest.raises(SchemaFileError, match="may be left invalid; the next run removes that first"):
        load(connection, directory)
    assert (False,) == connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'sales_by_day'::regclass"
    ).fetchone()
    connection.execute("DELETE FROM sales WHERE id = 2")

    load(connection, directory)

    assert (True,) == connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'sales_by_day'::regclass"
    ).fetchone()


def test_such_a_file_holds_one_statement(folder):
    with pytest.raises(SchemaFilesError, match="holds 2 statements"):
        read(folder(INDEX + "ANALYZE sales;"))


def test_a_dry_run_ends_before_the_first_file_that_it_cannot_roll_back(connection, folder):
    tried = try_out(connection, folder(TABLE, INDEX, "SELECT 1;"))[0]

    assert ["001_file.sql"] == [file.name for file in tried]
    assert not exists(connection, "public.sales")


def test_who_holds_the_lock_is_named_with_how_to_end_it(database, connection, folder):
    """An idle transaction of another program: the advice was to correct the file."""
    load(connection, folder(TABLE))
    with database.connect(autocommit=False, application_name="month-end") as other:
        other.execute("SELECT * FROM sales")
        with pytest.raises(SchemaBlockedError) as refused:
            load(connection, folder(TABLE, "ALTER TABLE sales ADD COLUMN note text;"), lock_timeout="1500ms")
        pid = other.info.backend_pid

    text = str(refused.value)
    for said in (f"pid {pid} (user postgres, application month-end, idle in transaction since ", "'SELECT * FROM sales'",
                 f"SELECT pg_terminate_backend({pid})", "The file is not wrong", "waited 1500ms"):  # fmt: skip
        assert said in text


def test_a_statement_that_needs_longer_is_told_apart_from_a_wrong_one(connection, folder):
    with pytest.raises(SchemaTimeoutError, match=r"still running after 100ms.*a longer statement_timeout"):
        load(connection, folder("SELECT pg_sleep(30);"), statement_timeout="100ms")


def test_a_folder_of_ones_own_is_skipped_until_it_says_what_it_must_be(connection, folder):
    """What a result must be stands beside the files; without it the check says what is there, and no PASS."""
    directory = folder(TABLE, "CREATE TABLE more (id integer PRIMARY KEY REFERENCES sales);")
    load(connection, directory)
    before = verify_catalog(connection, directory)
    path = write_catalog(connection, directory)
    after = verify_catalog(connection, directory)
    connection.execute("ALTER TABLE more ADD COLUMN note text")
    changed = verify_catalog(connection, directory)

    assert (directory / "catalog.txt") == path
    assert ("SKIP", "there are 2 tables, 3 columns, 2 indexes, 1 foreign key") == (
        before.checks[-1].verdict, before.checks[-1].detail.partition("; ")[2].partition(". ")[0],
    )  # fmt: skip
    assert {"PASS"} == {check.verdict for check in after.checks}
    assert {"number of columns", "definitions"} == set(failed(changed))


def test_a_catalog_is_not_written_from_a_database_that_lacks_a_file(connection, folder):
    load(connection, folder(TABLE))
    directory = folder(TABLE, "CREATE TABLE more (id integer);")

    with pytest.raises(SchemaChangedError, match=r"002_file\.sql is not applied"):
        write_catalog(connection, directory)
    assert not (directory / "catalog.txt").exists()


def test_a_run_on_a_folder_of_ones_own_plans_loads_and_verifies_it(live, folder, capsys):
    """By the runbook's steps, on a live target: the plan names the files, and only its id applies it."""
    directory = str(folder(TABLE, INDEX))
    plan = schema.plan(live, directory)
    unconfirmed = schema.apply(live, plan, "")
    outcome = schema.apply(live, schema.plan(live, directory), plan.id)

    assert "DRY RUN" in repr(unconfirmed)
    assert (
        "1 file ran without error, then rolled back: adds 1 table, 2 columns, 1 index, 1 constraint. 1 file not tried"
        in capsys.readouterr().out
    )
    assert [f"run {directory}/001_file.sql", f"run {directory}/002_file.sql"] == [
        change.action for change in plan.changes
    ]
    assert ("001_file.sql", "002_file.sql") == outcome.files
    assert "SKIP" == schema.verify(live, directory).checks[-1].verdict


@pytest.mark.parametrize(
    "index", ["by_day", '"By Day"', "/* why */ by_day"], ids=["plain", "quoted", "behind a comment"]
)
def test_an_invalid_index_is_found_in_the_schema_of_its_table(connection, folder, index):
    """With IF NOT EXISTS PostgreSQL keeps it and says nothing: the file would be recorded and the index never be used."""
    file = f"-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {index} ON app.sales (day);"
    rows = TABLE.replace("TABLE sales", "TABLE app.sales") + TWICE.replace("INTO sales", "INTO app.sales")
    directory = folder("CREATE SCHEMA app;\n" + rows, file)
    with pytest.raises(SchemaFileError, match="may be left invalid"):
        load(connection, directory)
    connection.execute("DELETE FROM app.sales WHERE id = 2")

    load(connection, directory)

    assert [(True,)] == connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indrelid = 'app.sales'::regclass AND NOT indisprimary"
    ).fetchall()


def test_an_index_that_only_a_comment_names_is_left_alone(connection, folder):
    load(connection, folder(TABLE))
    connection.execute("INSERT INTO sales VALUES (1, '2026-01-01'), (2, '2026-01-01')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY old ON sales (day)")

    load(
        connection,
        folder(TABLE, "-- no-transaction\n-- after CREATE INDEX CONCURRENTLY old ON sales failed\nVACUUM sales;"),
    )

    assert exists(connection, "public.old")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- no-transaction\nCREATE INDEX CONCURRENTLY ON sales (day);", "without naming it"),
        ("\n-- no-transaction\nVACUUM sales;", "not as its whole first line"),
        ("-- no-transaction: because\nVACUUM sales;", "not as its whole first line"),
        ("", "holds no statement"),
        ("-- later\n;", "holds no statement"),
    ],
)
def test_a_file_that_would_prove_nothing_or_cannot_be_found_again_is_refused(folder, text, said):
    with pytest.raises(SchemaFilesError, match=said):
        read(folder(text))


def test_what_a_file_sets_is_not_the_next_ones(database, connection, folder):
    """pg_dump's files set a role, a search path and timeouts for the session."""
    with database.superuser() as superuser:
        superuser.execute(
            "CREATE ROLE owner_of_one; GRANT owner_of_one TO postgres; GRANT CREATE ON SCHEMA public TO owner_of_one"
        )
    try:
        load(
            connection,
            folder(f"SET ROLE owner_of_one; SET lock_timeout = 0;\n{TABLE}", "CREATE TABLE more (id integer);"),
        )
        owners = connection.execute(
            "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        assert [("more", "postgres"), ("sales", "owner_of_one")] == owners
    finally:
        with database.superuser() as superuser:
            superuser.execute("DROP OWNED BY owner_of_one; DROP ROLE owner_of_one")


def test_select_into_is_told_how_to_be_written(connection, folder):
    with pytest.raises(SchemaFileError, match="Write CREATE TABLE … AS SELECT"):
        load(connection, folder(TABLE, "SELECT * INTO copied FROM sales;"))
