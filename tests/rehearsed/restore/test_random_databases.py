"""Whatever a database is made of, whatever is written to it and whatever is wrong with its copy: the verdict is right.

Each example is drawn from its seed: schema, rows, writes before and after the restore point, one fault or none. Faults come into the copy before the
restore point, so that no commit time gives them away, or after it. The number of a test that fails is the seed to run it again with.
"""

# ruff: noqa: S608 - names are quoted, and all else is from this file

import time
from dataclasses import dataclass, field
from datetime import UTC
from random import Random

import pytest
from psycopg import sql

from aurora_ops.restore.proof.content import bounds
from aurora_ops.restore.proof.engine import Limits, Proof
from aurora_ops.restore.proof.made_of import definitions

FEW, MANY = 8, 300
NAMES = ("plain", "MiXed", "with space", "per%cent", 'quo"te', "日本語", "select", "it's", "t", "x", "hash", "{brace}")
# Type -> a value that is another for each i.
TYPES = {
    "int": "i", "bigint": "i::bigint * 1000003", "numeric": "i / 7.0", "text": "'v' || i", "varchar(40)": "'v' || i", "char(9)": "'c' || i",
    "uuid": "md5(i::text)::uuid", "timestamptz": "timestamptz '2026-01-01' + i * interval '1 min'", "date": "date '2026-01-01' + i",
    "jsonb": "jsonb_build_object('k', i)", "json": "json_build_object('k', i)", "bytea": "decode(md5(i::text), 'hex')", "int[]": "ARRAY[i, i + 1]",
    "text[]": "ARRAY['a' || i, NULL]", "point": "point(i, i)", "inet": "inet '10.0.0.0' + i", "interval": "i * interval '1 s'", "float8": "i / 3.0",
    "int4range": "int4range(i, i + 5)", "tsvector": "to_tsvector('simple', 'w' || i)", "bit(24)": "i::bit(24)", "money": "i::money", "circle": "circle(point(i, 1), 2)",
    "{s}.mood": "(ARRAY['calm', 'busy'])[1 + i % 2]::{s}.mood", "{s}.pair": "ROW(i, 'p' || i)::{s}.pair", "{s}.small": "i::{s}.small",
    "{s}.mood[]": "ARRAY['calm']::{s}.mood[]", "time": "time '00:00' + i * interval '1 s'", "macaddr": "('08:00:2b:00:00:' || lpad(to_hex(i % 256), 2, '0'))::macaddr",
    "bpchar": "repeat(md5(i::text), 150)",
}  # fmt: skip


@dataclass
class Made:
    """One table of the example. Faults come into those that no DDL touches after the restore point: the even ones."""

    number: int
    name: str
    columns: dict[str, str]  # name -> the value for i
    rows: int
    parts: str = ""
    is_logged: bool = True
    is_moved: bool = False  # rows were updated or deleted after the restore point


@dataclass
class Example:
    """Everything that a seed draws."""

    random: Random
    schema: str = ""
    tables: list[Made] = field(default_factory=list)

    def quoted(self, name, *more):
        return sql.Identifier(name, *more).as_string()

    def table(self, made):
        return self.quoted(self.schema, made.name)

    def build(self, connection):
        """Types, tables, and what hangs on them."""
        random = self.random
        self.schema = f"{random.choice(NAMES)} s"
        s = self.quoted(self.schema)
        run = connection.execute
        run(
            f"CREATE SCHEMA {s}; CREATE TYPE {s}.mood AS ENUM ('calm', 'busy'); CREATE TYPE {s}.pair AS (a int, b text); CREATE DOMAIN {s}.small AS int CHECK (value > -5)"
        )
        run(f"CREATE TABLE {s}.anchor AS SELECT i FROM generate_series(1, 50) AS i")
        for number in range(random.randint(2, 5)):
            drawn = random.sample(sorted(TYPES), random.randint(1, 5))
            columns = {
                f"{random.choice(NAMES)} {place}": TYPES[one].replace("{s}", s) for place, one in enumerate(drawn)
            }
            made = Made(
                number, f"{random.choice(NAMES)} {number}", columns, random.choice((0, 1, 40, 900)) if number else 60
            )
            made.is_logged = number % 2 == 0 or random.random() < 0.8
            made.parts = random.choice(("", "", "HASH", "RANGE")) if made.is_logged else ""
            self.tables.append(made)
            listed = ", ".join(
                f"{self.quoted(name)} {one.replace('{s}', s)}" for name, one in zip(columns, drawn, strict=True)
            )
            key = random.choice((", PRIMARY KEY (id)", ", UNIQUE (id)", ""))
            more = random.choice(
                (
                    "",
                    ", twice int GENERATED ALWAYS AS (id * 2) STORED",
                    ", said text NOT NULL DEFAULT 'd'",
                    ", CONSTRAINT bounded CHECK (id > -9)",
                )
            )
            parted = f" PARTITION BY {made.parts} (id)" if made.parts else ""
            kind = "TABLE" if made.is_logged else "UNLOGGED TABLE"
            run(f"CREATE {kind} {self.table(made)} (id int, {listed}{more}{key}){parted}")
            for part in range(3 if made.parts else 0):
                bound = f"WITH (MODULUS 3, REMAINDER {part})" if made.parts == "HASH" else ("DEFAULT" if part == 2 else f"FROM ({part * 300}) TO ({part * 300 + 300})")  # fmt: skip
                bound = bound if bound == "DEFAULT" else f"FOR VALUES {bound}"
                run(
                    f"CREATE TABLE {self.quoted(self.schema, f'{made.name} part {part}')} PARTITION OF {self.table(made)} {bound}"
                )
            self.fill(connection, made, 1, made.rows)
            run(
                f"CREATE INDEX {self.quoted(f'index {number}')} ON {self.table(made)} (id DESC); COMMENT ON TABLE {self.table(made)} IS 'made'"
            )
        run(f"CREATE TABLE {s}.passing (id int); INSERT INTO {s}.passing SELECT generate_series(1, 30)")
        run(
            f"CREATE VIEW {s}.seen AS SELECT * FROM {s}.anchor; CREATE MATERIALIZED VIEW {s}.kept AS SELECT * FROM {s}.anchor"
        )
        run(f"CREATE FUNCTION {s}.one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE {s}.counting")  # fmt: skip
        run("SELECT nextval(%s::regclass) FROM generate_series(1, 400)", (f"{s}.counting",))

    def fill(self, connection, made, first, last):
        names = ", ".join(map(self.quoted, ("id", *made.columns)))
        values = ", ".join(("i", *made.columns.values()))
        connection.execute(
            f"INSERT INTO {self.table(made)} ({names}) SELECT {values} FROM generate_series({first}, {last}) AS i".encode()
        )

    def write(self, connection, serial, *, moving=False):
        """Every third row may move, and new ones come; the others stay as they are."""
        random = self.random
        for made in self.tables:
            name, (column, value) = self.table(made), random.choice(list(made.columns.items()))
            third = f"id % 3 = 0 AND id % {random.randint(1, 5)} = 0"
            kind = random.choice(("nothing", "touch", "delete", "change", "roll back"))
            with connection.transaction(force_rollback=kind == "roll back"):
                if kind == "delete":
                    connection.execute(f"DELETE FROM {name} WHERE {third}".encode())
                elif kind in ("touch", "roll back"):
                    connection.execute(f"UPDATE {name} SET id = id WHERE {third}".encode())
                elif kind == "change":
                    made_anew = f"(SELECT {value} FROM (SELECT {name}.id + 7 AS i) AS shifted)"
                    connection.execute(f"UPDATE {name} SET {self.quoted(column)} = {made_anew} WHERE {third}".encode())
            made.is_moved |= moving and kind != "nothing"
            if random.random() < 0.5:
                self.fill(connection, made, 10_000 * serial, 10_000 * serial + random.randint(0, 300))
            if random.random() < 0.2:
                connection.execute(f"VACUUM {name}".encode())

    def alter(self, connection):
        """What may happen to definitions after the restore point."""
        random, s = self.random, self.quoted(self.schema)
        odd = [made for made in self.tables if made.number % 2]
        for made in odd:
            work = random.choice(("ADD COLUMN later int DEFAULT 5", "ALTER id SET NOT NULL", "RENAME id TO number", ""))
            if work:
                connection.execute(f"ALTER TABLE {self.table(made)} {work}".encode())
            elif not made.parts:
                connection.execute(f"VACUUM FULL {self.table(made)}".encode())
        connection.execute(random.choice((f"TRUNCATE {s}.passing", f"DROP TABLE {s}.passing", f"ALTER TABLE {s}.passing RENAME TO gone", "SELECT 1")).encode())  # fmt: skip
        connection.execute(random.choice((f"CREATE TABLE {s}.later (id int); INSERT INTO {s}.later VALUES (1)", f"CREATE INDEX later ON {s}.anchor (i)", "SELECT 1")).encode())  # fmt: skip

    def damage(self, connection):
        """One fault: its kind, and what a finding has to name."""
        s, run = self.quoted(self.schema), lambda text: connection.execute(text.encode())
        even = [made for made in self.tables if made.number % 2 == 0 and made.rows]
        made = self.random.choice(even)
        name, column = self.table(made), self.quoted(self.random.choice(list(made.columns)))
        kind = self.random.choice(("delete one", "delete all", "change", "insert", "null", "drop index", "default", "comment", "view", "function",
                                   "materialised view", "sequence", "grant", "drop table", "constraint"))  # fmt: skip
        one = f"id = {self.random.choice([i for i in range(1, made.rows + 1) if i % 3])}"
        match kind:
            case "delete one":
                run(f"DELETE FROM {name} WHERE {one}")
            case "delete all":
                run(f"DELETE FROM {name}")
            case "change":
                run(f"UPDATE {name} SET id = id + 500000 WHERE {one}")
            case "insert":
                self.fill(connection, made, 600_000, 600_000)
                return kind, made.name
            case "null":
                run(f"UPDATE {name} SET {column} = NULL WHERE {one}")
            case "drop index":
                run(f"DROP INDEX {self.quoted(self.schema, f'index {made.number}')}")
                return kind, f"index {made.number}"
            case "default":
                run(f"ALTER TABLE {name} ALTER id SET DEFAULT 3")
            case "comment":
                run(f"COMMENT ON TABLE {name} IS 'else'")
            case "view":
                run(f"CREATE OR REPLACE VIEW {s}.seen AS SELECT i + 0 AS i FROM {s}.anchor")
                return kind, "seen"
            case "function":
                run(f"CREATE OR REPLACE FUNCTION {s}.one() RETURNS int LANGUAGE sql AS 'SELECT 2'")
                return kind, "one()"
            case "materialised view":
                run(f"REFRESH MATERIALIZED VIEW {s}.kept WITH NO DATA")
                return kind, "kept"
            case "sequence":
                connection.execute("SELECT setval(%s::regclass, 5)", (f"{s}.counting",))
                return kind, "counting"
            case "grant":
                run(f"GRANT SELECT ON {name} TO pg_monitor")
            case "drop table":
                run(f"DROP TABLE {name}")
            case "constraint":
                run(f"ALTER TABLE {name} ADD CHECK (id > -77)")
        return kind, made.name


def moment(connection):
    """A restore point that no commit is near."""
    time.sleep(0.15)
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    time.sleep(0.15)
    return row[0].astimezone(UTC)


@pytest.mark.parametrize("seed", [*range(FEW), *(pytest.param(n, marks=pytest.mark.slow) for n in range(FEW, MANY))])
def test_the_verdict_is_right(database, monkeypatch, seed):
    """No finding where there is no fault; where there is one, a finding that names its object."""
    monkeypatch.setattr(definitions, "_NAMED", 10_000)
    monkeypatch.setattr(
        bounds, "_REPORTED_SECONDS", 1.5
    )  # sessions end before they are asked for, and report at their end
    example, twin = Example(Random(seed)), type(database)(database.server, f"{database.name}_twin")  # noqa: S311
    sides = {
        "source": lambda name, read_only=True: database.connect(),
        "copy": lambda name, read_only=True: twin.connect(),
    }
    with database.connect() as source:
        example.build(source)
        example.write(source, 1)
    proof = Proof(sides["source"], (database.name,), Limits(at_least_percent=0.1))
    proof.record_before()
    with database.server.connect() as admin:
        admin.execute("CHECKPOINT")
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER postgres").format(*map(sql.Identifier, (twin.name, database.name))))  # fmt: skip
        try:
            damaged, early = example.random.random() < 0.7, example.random.random() < 0.6
            fault = None
            if damaged and early:
                with twin.connect() as copy:
                    fault = example.damage(copy)
            to = moment(admin)
            with database.connect() as source:
                example.write(source, 2, moving=True)
            proof.record_after(to)
            with database.connect() as source:
                example.write(source, 3, moving=True)
                example.alter(source)
            if damaged and not early:
                with twin.connect() as copy:
                    fault = example.damage(copy)
            findings = [check for check in proof.compare(sides["copy"]) if check.verdict == "FAIL"]
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(twin.name)))

    if fault is None:
        assert [] == findings
        return
    kind, name = fault
    moved = any(made.name == name and made.is_moved for made in example.tables)
    # A row that came into the copy before the restore point, among rows that moved, may be one that the source has deleted since.
    certain = not (kind == "insert" and early and moved)
    naming = [one for one in findings if name in f"{one.name} {one.detail}" or name.replace('"', '""') in one.detail]
    assert not certain or naming, f"{kind} of {name} ({'before' if early else 'after'} the restore point): {findings}"
