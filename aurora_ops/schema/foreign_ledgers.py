"""Ledgers of other schema tools that stand in a database: recognised by table and columns, named, and left alone."""

from typing import NamedTuple

import psycopg
from psycopg import sql


class Ledger(NamedTuple):
    """How a tool's ledger is recognised: its table's name, and columns that it has and those of its namesakes have not."""

    tool: str
    table: str
    columns: frozenset[str]
    without: frozenset[str] = frozenset()


def _of(tool: str, table: str, columns: str, without: str = "") -> Ledger:
    return Ledger(tool, table, frozenset(columns.split()), frozenset(without.split()))


KNOWN = (
    _of("Flyway", "flyway_schema_history", "installed_rank version checksum"),
    _of("Flyway", "schema_version", "installed_rank version checksum"),  # before version 5
    _of("golang-migrate", "schema_migrations", "version dirty"),
    _of("Ecto", "schema_migrations", "version inserted_at"),
    # dbmate and Rails have the same one column; Rails has a second table beside it.
    _of("dbmate or Rails", "schema_migrations", "version", "dirty inserted_at"),
    _of("Rails", "ar_internal_metadata", "key value"),
    _of("Alembic", "alembic_version", "version_num"),
    _of("Django", "django_migrations", "app name applied"),
    _of("Liquibase", "databasechangelog", "id author filename md5sum"),
    _of("goose", "goose_db_version", "version_id is_applied"),
    _of("Sqitch", "changes", "change_id change project"),
    _of("sql-migrate", "gorp_migrations", "id applied_at"),
    _of("node-pg-migrate", "pgmigrations", "name run_on"),
    _of("Knex", "knex_migrations", "name batch migration_time"),
    _of("Prisma", "_prisma_migrations", "checksum migration_name"),
    _of("Drizzle", "__drizzle_migrations", "hash created_at"),
    _of("Sequelize", "SequelizeMeta", "name"),
    _of("TypeORM", "migrations", "timestamp name"),
    _of("Laravel", "migrations", "migration batch"),
    _of("Doctrine", "doctrine_migration_versions", "version executed_at"),
    _of("Phinx", "phinxlog", "version migration_name"),
    _of("Entity Framework", "__EFMigrationsHistory", "MigrationId ProductVersion"),
    _of("sqlx", "_sqlx_migrations", "version checksum success"),
    _of("Diesel", "__diesel_schema_migrations", "version run_on"),
    _of("Refinery", "refinery_schema_history", "version checksum"),
    _of("yoyo", "_yoyo_migration", "migration_hash migration_id"),
    _of("Atlas", "atlas_schema_revisions", "version executed_at"),
    _of("pgroll", "migrations", "name migration resulting_schema"),
    _of("graphile-migrate", "migrations", "hash previous_hash filename"),
    _of("MyBatis", "changelog", "id applied_at description"),
    _of("tern", "schema_version", "version", "installed_rank"),
)
_TABLES = """
SELECT nspname::text, relname::text, array_agg(attname::text), has_table_privilege(pg_class.oid, 'SELECT')
  FROM pg_class
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
  JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
 WHERE relkind IN ('r', 'p') AND relname::text = ANY (%s) AND nspname <> 'ops' AND nspname !~ '^pg_'
 GROUP BY nspname, relname, pg_class.oid
 ORDER BY nspname, relname
"""


def recognised(connection: psycopg.Connection) -> tuple[str, ...]:
    """The ledgers that are there, in words: "Flyway (public.flyway_schema_history, 14 entries)"."""
    said = []
    for schema, table, columns, readable in connection.execute(
        _TABLES, (sorted({one.table for one in KNOWN}),)
    ).fetchall():
        tool = next((one.tool for one in KNOWN if one.table == table and one.columns <= set(columns) and not one.without & set(columns)), None)  # fmt: skip
        if tool:
            said.append(
                f"{tool} ({schema}.{table}, {_entries(connection, schema, table) if readable else 'not readable'})"
            )
    return tuple(said)


def _entries(connection: psycopg.Connection, schema: str, table: str) -> str:
    counting = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
    number = (connection.execute(counting).fetchone() or (0,))[0]
    return f"{number} entr{'y' if number == 1 else 'ies'}"
