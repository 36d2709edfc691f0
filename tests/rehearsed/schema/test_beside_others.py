"""A database that has tables already: others', made by hand or by another tool, or the files' own by other means."""

import json

import pytest

from aurora_ops.core.plan import PlanChangedError
from aurora_ops.schema import ledger
from aurora_ops.schema import procedure as schema
from aurora_ops.schema.catalog import verify_catalog, write_catalog
from aurora_ops.schema.failures import SchemaChangedError, SchemaFileError
from aurora_ops.schema.loader import load, try_out

# Everything that a name can be: quotes, a percent sign, mixed case, Japanese, a colon, a column called t.
ODD = """
CREATE SCHEMA "App: 100 %";
CREATE TYPE "App: 100 %".mood AS ENUM ('it''s', '晴れ');
CREATE TABLE "App: 100 %".t (t integer PRIMARY KEY, "金額: 円" numeric DEFAULT 1, "say ""hi"" %s" "App: 100 %".mood,
  CHECK ("金額: 円" > 0));
CREATE VIEW "App: 100 %"."売上" AS SELECT t,
  'two
lines' AS note FROM "App: 100 %".t;
CREATE FUNCTION "App: 100 %".twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * n';
"""
SALES = "CREATE TABLE sales (id integer PRIMARY KEY, day date);\n"
FLYWAY = 'CREATE TABLE "flyway_schema_history" (installed_rank integer PRIMARY KEY, version text, checksum integer);'
LEDGERS = {
    "Flyway": FLYWAY,
    "golang-migrate": "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)",
    "dbmate or Rails": "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)",
    "Rails": "CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY, value varchar)",
    "Alembic": "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
    "Django": "CREATE TABLE django_migrations (id bigint, app text, name text, applied timestamptz)",
    "Liquibase": "CREATE TABLE databasechangelog (id text, author text, filename text, md5sum text)",
    "goose": "CREATE TABLE goose_db_version (id serial, version_id bigint, is_applied boolean)",
    "Sqitch": "CREATE SCHEMA sqitch; CREATE TABLE sqitch.changes (change_id text, change text, project text)",
    "Ecto": "CREATE TABLE schema_migrations (version bigint, inserted_at timestamp)",
    "Prisma": "CREATE TABLE _prisma_migrations (id text, checksum text, migration_name text)",
    "TypeORM": 'CREATE TABLE migrations (id serial, "timestamp" bigint, name text)',
    "Laravel": "CREATE TABLE migrations (id serial, migration text, batch integer)",
    "Sequelize": 'CREATE TABLE "SequelizeMeta" (name text)',
    "Entity Framework": 'CREATE TABLE "__EFMigrationsHistory" ("MigrationId" text, "ProductVersion" text)',
}


@pytest.fixture
def folder(tmp_path):
    def write(*texts):
        for number, text in enumerate(texts, 1):
            (tmp_path / f"{number:03}_file.sql").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def check(report, name):
    return next(one for one in report if one.name == name)


@pytest.mark.parametrize("tool", LEDGERS)
def test_a_ledger_of_another_tool_is_named_and_left_alone(live, connection, folder, tool):
    """By table and columns. Files of a folder of one's own are loaded beside it; its table stays as it is."""
    connection.execute(LEDGERS[tool])
    directory = folder(ODD)

    standing = check(schema.preflight_checks(connection, directory, named=True), "what stands there is accounted for")
    plan = schema.plan(live, str(directory))
    schema.apply(live, plan, plan.id)

    assert ("PASS", True) == (standing.verdict, f"ledger of {tool} (" in standing.detail)
    assert f"{tool} (" in plan.warnings[0]
    assert "SKIP objects of others" in {
        f"{one.verdict} {one.name}" for one in verify_catalog(connection, directory).checks
    }


def test_a_table_that_only_has_the_name_of_a_ledger_is_no_ledger(connection, folder):
    connection.execute("CREATE TABLE migrations (id integer, bird text); CREATE TABLE changes (day date)")

    standing = schema.preflight_checks(connection, folder(ODD), named=True)[3]

    assert "left alone: 2 tables of others" == standing.detail


def test_the_applications_own_files_do_not_go_beside_others_tables(live, connection):
    """No folder was named, and nobody accounts for the tables: it is more likely the wrong database."""
    connection.execute(f"{FLYWAY} CREATE TABLE birds (id integer)")

    with pytest.raises(
        SchemaChangedError, match=r"holds 2 tables but no ledger.*Flyway \(public\.flyway_schema_history, 0 entries\)"
    ):
        schema.plan(live)


def test_others_and_their_later_tables_are_no_drift_and_ones_own_are(connection, folder):
    """Flyway goes on making tables; what a file made and somebody changed is a finding, whatever it is called."""
    connection.execute(f"{FLYWAY} CREATE TABLE birds (id serial PRIMARY KEY)")
    directory = folder(ODD)
    load(connection, directory)
    write_catalog(connection, directory)
    connection.execute("CREATE TABLE later (id integer); ALTER TABLE birds ADD COLUMN name text")
    before = verify_catalog(connection, directory)
    connection.execute('ALTER TABLE "App: 100 %".t ALTER COLUMN "金額: 円" SET DEFAULT 2')
    after = verify_catalog(connection, directory)

    assert ["PASS", "SKIP", "SKIP"] == [one.verdict for one in before.checks[-3:]]
    assert "2 tables stood there before the first file" == check(before.checks, "objects of others").detail
    assert (
        "1 table came later, by hand or by Flyway (public.flyway_schema_history, 0 entries)" == before.checks[-1].detail
    )
    assert (
        'other than expected: column "App: 100 %".t."金額: 円": numeric DEFAULT 2 (expected numeric DEFAULT 1)'
        == check(after.checks, "definitions").detail
    )


def test_a_catalog_grows_by_what_the_next_file_made(connection, folder):
    """Beside another tool, too: what the files made is noted when they make it."""
    connection.execute(FLYWAY)
    directory = folder(ODD)
    load(connection, directory)
    write_catalog(connection, directory)
    connection.execute("CREATE TABLE of_flyway (id integer)")
    load(connection, folder(ODD, SALES))

    lines = write_catalog(connection, directory).read_text(encoding="utf-8")

    assert ("table sales: permanent\n" in lines, "of_flyway" in lines, "flyway" in lines) == (True, False, False)
    assert "PASS" == verify_catalog(connection, directory).verdict


def test_what_is_left_of_a_function_a_view_or_a_type_is_seen(connection, folder):
    """Definitions that lie in a schema of its own, and of every kind, are compared; a text of two lines is one line of the catalog."""
    directory = folder(ODD)
    load(connection, directory)
    write_catalog(connection, directory)
    assert "PASS" == verify_catalog(connection, directory).verdict

    for statement, said in (
        ("CREATE OR REPLACE FUNCTION \"App: 100 %\".twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT 3 * n'", "other than expected: function"),
        ('ALTER TYPE "App: 100 %".mood ADD VALUE \'曇り\'', "other than expected: type"),
        ('DROP VIEW "App: 100 %"."売上"', "missing: view"),
    ):  # fmt: skip
        connection.execute(statement)
        assert said in check(verify_catalog(connection, directory).checks, "definitions").detail.replace(
            "; other", "\nother"
        )


def test_a_dry_run_shows_what_the_files_would_add_change_and_remove(live, connection, folder, capsys):
    """From the transaction that is rolled back; the page shows each object, the log how many."""
    load(connection, folder(SALES))
    directory = folder(
        SALES, "ALTER TABLE sales ALTER COLUMN day SET NOT NULL; ALTER TABLE sales DROP CONSTRAINT sales_pkey;" + ODD
    )

    unconfirmed = schema.apply(live, schema.plan(live, str(directory)), "")

    assert (
        "1 file ran without error, then rolled back: adds 1 table, 3 columns, 1 index, 1 function, 1 schema, 1 type, 1 view, 2 constraints; "
        "changes 1 column; removes 1 index, 1 constraint.\n"
    ) == capsys.readouterr().out.replace(
        "2 constraints, 1 function, 1 schema, 1 type, 1 view", "1 function, 1 schema, 1 type, 1 view, 2 constraints"
    )
    assert ("changes", "column sales.day", "date", "date NOT NULL") in unconfirmed.rows
    assert ("adds", 'column "App: 100 %".t.t', "", "integer NOT NULL") in unconfirmed.rows
    assert "| changes | column sales.day | date | date NOT NULL |" in unconfirmed._repr_markdown_()
    assert (None,) == connection.execute("SELECT to_regnamespace('\"App: 100 %\"')").fetchone()


def test_a_dry_run_that_changes_nothing_says_so(connection, folder):
    assert "no difference" == repr(
        try_out(
            connection,
            folder(
                "INSERT INTO pg_temp.nothing SELECT 1 WHERE false;".replace(
                    "INSERT INTO pg_temp.nothing SELECT", "SELECT"
                )
            ),
        )[1]
    )


# --- baseline


@pytest.fixture
def by_hand(connection, folder):
    """A database that somebody brought to what the files say, and the folder with its catalog."""
    directory = folder(SALES, ODD)
    with connection.transaction(force_rollback=True):
        connection.execute(SALES + ODD)
        lines = write_lines(connection)
    (directory / "catalog.txt").write_text(lines, encoding="utf-8")
    connection.execute("CREATE TABLE birds (id integer);" + SALES + ODD)
    return directory


def write_lines(connection):
    from aurora_ops.schema import fingerprint

    return "\n".join(fingerprint.catalog_within(connection).lines) + "\n"


def test_files_are_recorded_where_the_database_is_what_they_amount_to(live, connection, by_hand):
    """To run them is refused with that advice; a dry run records nothing; the plan's id records them, and verify passes."""
    with pytest.raises(SchemaChangedError, match=r"already is what the files amount to.*Record it: baseline=True"):
        schema.plan(live, str(by_hand))
    plan = schema.plan(live, str(by_hand), True)
    unconfirmed = schema.apply(live, plan, "")
    recorded_before = ledger.history(connection)
    outcome = schema.apply(live, plan, plan.id)

    assert ({}, f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {plan.id}") == (
        recorded_before,
        repr(unconfirmed),
    )
    assert f"RECORDED {plan.id}: 2 files as applied, none was run" == repr(outcome)
    assert [True, True] == [one.recorded for one in ledger.entries(connection)]
    assert "PASS" == schema.verify(live, str(by_hand)).verdict
    assert "1 table stood there before the first file" == schema.verify(live, str(by_hand)).checks[-1].detail
    assert [] == schema.plan(live, str(by_hand)).changes


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE sales ADD COLUMN note text", "unexpected: column sales.note: text"),
        ("DROP TABLE sales", "missing: "),
        ('ALTER TABLE "App: 100 %".t ALTER COLUMN "金額: 円" TYPE integer', "other than expected: "),
        ("ALTER TABLE sales DISABLE TRIGGER ALL; CREATE INDEX i ON sales (day)", "unexpected: index i"),
    ],
)  # fmt: skip
def test_a_baseline_that_would_not_be_true_is_refused_with_the_difference(live, connection, by_hand, statement, said):
    connection.execute('DROP VIEW "App: 100 %"."売上"' if "TYPE integer" in statement else "SELECT 1")
    connection.execute(statement)

    with pytest.raises(SchemaChangedError, match=said):
        schema.plan(live, str(by_hand), True)
    assert ["FAIL"] == [
        one.verdict
        for one in schema.preflight_checks(connection, by_hand, named=True, baseline=True)
        if one.name.startswith("the database is")
    ]
    assert {} == ledger.history(connection)


def test_a_database_that_changed_after_the_plan_is_not_recorded(live, connection, by_hand):
    """Looked at again under the loader's lock, in the transaction that records."""
    plan = schema.plan(live, str(by_hand), True)
    connection.execute("ALTER TABLE sales ADD COLUMN note text")

    with pytest.raises(SchemaChangedError, match=r"unexpected: column sales\.note"):
        schema.apply(live, plan, plan.id)
    assert {} == ledger.history(connection)


def test_a_baseline_is_another_plan_than_a_load(live, connection, folder):
    """The id of one does not confirm the other; and without a catalog there is nothing to hold the database against."""
    directory = str(folder(SALES))
    loading = schema.plan(live, directory)
    with pytest.raises(SchemaChangedError, match=r"has no catalog\.txt, so nothing says"):
        schema.plan(live, directory, True)
    load(connection, folder(SALES))
    write_catalog(connection, folder(SALES))
    connection.execute("DROP SCHEMA ops CASCADE")

    with pytest.raises(PlanChangedError):
        schema.apply(live, schema.plan(live, directory, True), loading.id)


def test_a_file_that_meets_what_is_there_is_told_of_both_ways_out(connection, folder):
    connection.execute(SALES)
    with pytest.raises(SchemaFileError, match=r"already exists.*baseline=True.*another name, or a schema of its own"):
        load(connection, folder(SALES))


def test_a_table_of_the_ledgers_name_that_is_anothers_is_refused(connection, folder):
    connection.execute("CREATE SCHEMA ops; CREATE TABLE ops.schema_history (day date)")

    with pytest.raises(
        SchemaChangedError, match=r"ops\.schema_history has no column applied_at.*not this loader's ledger"
    ):
        load(connection, folder(SALES))


def test_another_folder_than_the_one_that_was_loaded_is_said_to_be_one(connection, folder):
    """Its first file has the same number and another name: nothing was edited."""
    load(connection, folder(SALES))

    with pytest.raises(
        SchemaChangedError, match=r"001_file\.sql was applied .* folder's is 001_application\.sql: it is another folder"
    ):
        load(connection)


# --- status


def test_status_names_all_that_differs_at_once(live, connection, folder):
    """Where a load stops at the first contradiction, status has them all; as JSON for programs."""
    directory = folder(SALES, ODD, "CREATE TABLE more (id integer);")
    load(connection, directory)
    write_catalog(connection, directory)
    equal = schema.status(live, str(directory))
    connection.execute("ALTER TABLE sales ADD COLUMN note text")
    drifted = schema.status(live, str(directory))
    (directory / "003_file.sql").unlink()
    (directory / "001_file.sql").write_text(SALES + "-- later\n")
    (directory / "004_new.sql").write_text("SELECT 1;")
    (directory / "deep").mkdir()
    (directory / "deep" / "x.sql").write_text("SELECT 1;")
    all_at_once = json.loads(schema.status(live, str(directory)).as_json())

    assert ("PASS", "equal") == (equal.verdict, equal.catalog)
    assert "FAIL" == drifted.verdict
    assert "unexpected  column sales.note: text" in str(drifted)
    assert {
        "verdict": "FAIL", "edited": ["001_file.sql"], "missing": ["003_file.sql"], "pending": ["004_new.sql"], "not_taken": ["deep/x.sql"],
        "catalog": "not compared: not all files are applied",
    }.items() <= all_at_once.items()  # fmt: skip
    assert ["001_file.sql", "002_file.sql", "003_file.sql"] == [one["name"] for one in all_at_once["applied"]]


def test_status_without_a_catalog_is_no_pass(live, connection, folder):
    directory = folder(SALES)
    load(connection, directory)

    assert ("SKIP", "not compared: no catalog.txt beside the files") == (
        (found := schema.status(live, str(directory))).verdict, found.catalog,
    )  # fmt: skip
