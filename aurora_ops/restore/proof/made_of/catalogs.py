"""Reading what a database, and its cluster, is made of: each system catalog as it is, object by object.

A copy that RDS restores is a physical one: it has the catalogs themselves, object ids included. So they are compared as tables are, and
no kind of object can be forgotten but by leaving out its catalog. What `pg_dump --schema-only` and `pg_dumpall --globals-only` write is made from
these catalogs. Left out is what PostgreSQL writes there for itself (page counts, file numbers, horizons), what it derives
from other rows (pg_shdepend), planner statistics, and what a login that is no superuser may not read (passwords, connection strings).
"""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

# Catalog -> what of a row is the object that it describes, as (class, object, part); its own object id where nothing is said.
_PART_OF = {
    "pg_aggregate": ("pg_proc", "aggfnoid", ""),
    "pg_attribute": ("pg_class", "attrelid", "attnum"),
    "pg_enum": ("pg_type", "enumtypid", ""),
    "pg_foreign_table": ("pg_class", "ftrelid", ""),
    "pg_index": ("pg_class", "indexrelid", ""),
    "pg_inherits": ("pg_class", "inhrelid", ""),
    "pg_largeobject_metadata": ("pg_largeobject", "oid", ""),  # PostgreSQL's own way to call a large object
    "pg_partitioned_table": ("pg_class", "partrelid", ""),
    "pg_range": ("pg_type", "rngtypid", ""),
    "pg_sequence": ("pg_class", "seqrelid", ""),
    "pg_ts_config_map": ("pg_ts_config", "mapcfg", ""),
    "pg_depend": ("classid", "objid", "objsubid"),
    "pg_description": ("classoid", "objoid", "objsubid"),
    "pg_seclabel": ("classoid", "objoid", "objsubid"),
    "pg_auth_members": ("pg_authid", "member", ""),
    "pg_shdescription": ("classoid", "objoid", ""),
    "pg_shseclabel": ("classoid", "objoid", ""),
}
_OWN = (
    "pg_am", "pg_amop", "pg_amproc", "pg_attrdef", "pg_cast", "pg_class", "pg_collation", "pg_constraint", "pg_conversion", "pg_default_acl",
    "pg_event_trigger", "pg_extension", "pg_foreign_data_wrapper", "pg_foreign_server", "pg_language",
    "pg_namespace", "pg_opclass", "pg_operator", "pg_opfamily", "pg_policy", "pg_proc", "pg_publication", "pg_publication_namespace",
    "pg_publication_rel", "pg_rewrite", "pg_statistic_ext", "pg_transform", "pg_trigger", "pg_ts_config", "pg_ts_dict",
    "pg_ts_parser", "pg_ts_template", "pg_type",
)  # fmt: skip
_OF_CLUSTER = ("pg_database", "pg_tablespace", "pg_auth_members", "pg_shdescription", "pg_shseclabel")
CATALOGS = (*_OWN, *(name for name in _PART_OF if name not in _OF_CLUSTER))
# Of the thousands of rows that PostgreSQL brings with it, only those that somebody has written since are read: they have a commit time.
BULKY = (
    "pg_amop",
    "pg_amproc",
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_proc",
)
_USERS_ONLY = {
    "pg_depend": "objid >= 16384 OR refobjid >= 16384",
    "pg_description": "objoid >= 16384",
    "pg_attribute": "attrelid >= 16384 AND attnum > 0",
}
_LEFT_OUT = {
    "relfilenode", "relpages", "reltuples", "relallvisible", "relfrozenxid", "relminmxid", "relhasindex", "relhasrules", "relhastriggers",
    "relhassubclass", "relrewrite", "datfrozenxid", "datminmxid", "datlastsysoid", "indcheckxmin", "attcacheoff", "atthasmissing", "attmissingval",
}  # fmt: skip
# What a person reads; the tree that PostgreSQL made of it is compared as well. It is of the moment and not of the snapshot.
TEXT = "definition"
_ATTEMPTS = 5
_TEXTS = {
    "pg_index": "pg_get_indexdef(x.indexrelid)",
    "pg_constraint": "pg_get_constraintdef(x.oid)",
    "pg_attrdef": "pg_get_expr(x.adbin, x.adrelid)",
    "pg_rewrite": "pg_get_ruledef(x.oid)",
    "pg_trigger": "pg_get_triggerdef(x.oid)",
    "pg_policy": "concat_ws(' WITH CHECK ', pg_get_expr(x.polqual, x.polrelid), pg_get_expr(x.polwithcheck, x.polrelid))",
}
_COLUMNS = """
SELECT c.relname, a.attname, a.atttypid = 'pg_node_tree'::regtype, coalesce(a.attnum = ANY(i.indkey), false)
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND (a.attnum > 0) AND NOT a.attisdropped
  LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
 WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname = ANY(%s) AND has_column_privilege(c.oid, a.attnum, 'SELECT')
 ORDER BY c.relname, a.attnum
"""
# Views and functions where the catalog itself is for superusers: their rows carry no commit time.
_ROLES = """
SELECT 'role ' || rolname, to_jsonb(r) - 'rolpassword' - 'rolconfig' FROM pg_roles AS r
"""
_SETTINGS = """
SELECT 'settings of ' || concat_ws(' in ', coalesce('role ' || r.rolname, 'every role'), 'database ' || d.datname), to_jsonb(s.setconfig)
  FROM pg_db_role_setting AS s LEFT JOIN pg_roles AS r ON r.oid = s.setrole LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
"""
_MAPPINGS = "SELECT 'user mapping of ' || usename || ' for ' || srvname, to_jsonb(m) FROM pg_user_mappings AS m"


class Key(NamedTuple):
    """Which row of which catalog."""

    catalog: str
    row: str


@dataclass(frozen=True)
class Object:
    """One row of a catalog: what it describes, its properties, and when it was last written (None: long ago, or unknown)."""

    name: str
    properties: dict[str, Any] = field(repr=False)
    at: datetime | None = None
    timed: bool = True  # whether its catalog can tell when
    passing: bool = False  # dropped while it was read: its columns are the snapshot's, and no function describes it


Definitions = dict[Key, Object]


def of_cluster(connection: psycopg.Connection, *, timed: bool) -> Definitions:
    """Databases, roles, memberships, settings: what belongs to no database. Expects pinned settings."""
    found = _catalogs(connection, (*_OF_CLUSTER, "pg_parameter_acl"), timed=timed)
    for catalog, statement in (("pg_roles", _ROLES), ("pg_db_role_setting", _SETTINGS)):
        found |= _view(connection, catalog, statement)
    return found


def of_database(connection: psycopg.Connection, *, timed: bool) -> Definitions:
    """Everything that the database defines. Expects pinned settings."""
    found = _catalogs(connection, CATALOGS, timed=timed) | _view(connection, "pg_user_mappings", _MAPPINGS)
    return {key: one for key, one in found.items() if not _is_temporary(one)}


def _view(connection: psycopg.Connection, catalog: str, statement: str) -> Definitions:
    rows = connection.execute(statement.encode()).fetchall()
    return {
        Key(catalog, name): Object(name, found if isinstance(found, dict) else {"settings": found}, timed=False)
        for name, found in rows
    }


def _is_temporary(one: Object) -> bool:
    """Temporary tables come and go with sessions; a backup does not hold them."""
    return "pg_temp_" in one.name or "pg_toast_temp_" in one.name


def _catalogs(connection: psycopg.Connection, catalogs: tuple[str, ...], *, timed: bool) -> Definitions:
    columns: dict[str, list[tuple[str, bool, bool]]] = {}
    for catalog, name, is_tree, is_key in connection.execute(_COLUMNS, (list(catalogs),)):
        if name not in _LEFT_OUT:
            columns.setdefault(catalog, []).append((name, is_tree, is_key))
    found: Definitions = {}
    for catalog, known in columns.items():
        for row, name, properties, at in _rows(connection, _statement(catalog, known, timed=timed)):
            found[Key(catalog, row)] = Object(name or f"{catalog} {row}", properties, at, passing=name is None)
    return found


def _rows(connection: psycopg.Connection, statement: sql.Composed) -> list[tuple[Any, ...]]:
    """Read again where an object was dropped after the statement began: some functions then fail instead of saying nothing."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(psycopg.errors.InternalError_, psycopg.errors.UndefinedTable):
            return connection.execute(statement).fetchall()
    return connection.execute(statement).fetchall()


def _statement(catalog: str, columns: list[tuple[str, bool, bool]], *, timed: bool) -> sql.Composed:
    # A tree is long, so its hash stands for it.
    values: list[sql.Composable] = [
        sql.SQL("md5(x.{0}::text) AS {0}" if is_tree else "x.{0}").format(sql.Identifier(name))
        for name, is_tree, _ in columns
    ]
    if catalog in _TEXTS:
        values.append(sql.SQL(_TEXTS[catalog] + f" AS {TEXT}"))
    key = [sql.SQL("x.{}").format(sql.Identifier(name)) for name, _, is_key in columns if is_key]
    whole = [sql.SQL("x.{}").format(sql.Identifier(name)) for name, _, _ in columns]
    which = _USERS_ONLY.get(catalog, "true")
    if timed and catalog in BULKY:
        which = "x.oid >= 16384 OR pg_xact_commit_timestamp(x.xmin) IS NOT NULL"
    return sql.SQL(
        "SELECT ROW({key})::text, {name}, (SELECT to_jsonb(v) FROM (SELECT {values}) AS v), {at} FROM pg_catalog.{catalog} AS x WHERE {which}"
    ).format(
        key=sql.SQL(", ").join(key or whole),
        name=_name(catalog),
        values=sql.SQL(", ").join(values),
        at=sql.SQL("pg_xact_commit_timestamp(x.xmin)" if timed else "NULL::timestamptz"),
        catalog=sql.Identifier(catalog),
        which=sql.SQL(which),
    )


def _name(catalog: str) -> sql.Composable:
    kind, number, part = _PART_OF.get(catalog, (catalog, "oid", ""))
    if catalog == "pg_parameter_acl":
        return sql.SQL("'parameter ' || x.parname")
    if catalog == "pg_auth_members":
        return sql.SQL("'membership of ' || pg_get_userbyid(x.member) || ' in ' || pg_get_userbyid(x.roleid)")
    known = sql.SQL("{}::regclass").format(sql.Literal(kind)) if kind.startswith("pg_") else sql.SQL(f"x.{kind}")
    said = {"pg_description": "comment on ", "pg_shdescription": "comment on ", "pg_depend": "dependency of "}.get(
        catalog, ""
    )
    return sql.SQL("{} || pg_describe_object({}, x.{}, {})").format(
        sql.Literal(said), known, sql.SQL(number), sql.SQL(f"x.{part}" if part else "0")
    )
