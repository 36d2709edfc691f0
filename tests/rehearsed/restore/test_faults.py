"""Every kind of fault in a restored copy is found and named; a copy that is right passes however busy its source was.

All faults go into one copy, each into an object of its own, and each has to be named by a finding of its own. `make test` puts a
short selection in; `make test-all` all of them.
"""

import pytest
from common import failed
from restore_faults import FAULTS, ROLE, SCHEMA, SECOND

from aurora_ops.aws.access import open_access
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import drill as restore
from aurora_ops.restore.proof.engine import Proof
from aurora_ops.restore.proof.made_of import definitions

REGION = "ap-northeast-1"
FEW = 12  # every so many-th fault


@pytest.fixture(scope="module")
def drill(sandbox):
    """A restored copy of a source that has an object for each fault, before any is put in."""
    session = open_world(world="deployed")
    access = open_access(session)
    with access.connect(read_only=False) as source:
        source.execute(f"CREATE ROLE {ROLE}; GRANT {ROLE} TO postgres")
        source.execute(f'CREATE DATABASE "{SECOND}"')
    for database in ("", SECOND):
        with access.connect(database=database, read_only=False) as source:
            source.execute(f"CREATE SCHEMA {SCHEMA}")
            for number, fault in enumerate(FAULTS):
                if fault.database == database:
                    run(source, fault.sql(fault.made, number))
    found = restore.drill(access)
    found.mark()
    found.restore()
    yield found
    restore.clean_up("sandbox", REGION, "dev")


def run(connection, text):
    """Statement by statement: CREATE DATABASE takes no company."""
    for statement in text.split("; "):
        connection.execute(statement.encode())


def put_in(drill, numbers):
    """Damage the copy."""
    for number in numbers:
        fault = FAULTS[number]
        with drill.copy.connect(fault.database, read_only=False) as copy:
            run(copy, fault.sql(fault.damage, number))


def named(checks, number):
    """Findings about a fault's object."""
    name = FAULTS[number].named(number)
    return [check.name for check in checks if check.verdict == "FAIL" and name in f"{check.name} {check.detail}"]


@pytest.fixture(scope="module")
def done():
    """Numbers of the faults that are in the copy by now."""
    return set()


def test_there_are_enough_faults():
    """Of each kind: rows, definitions, what belongs to the cluster."""
    kinds = [fault.kind.partition(":")[0] for fault in FAULTS]

    assert (60, True) == (
        min(60, len(FAULTS)),
        {"rows", "rows in another database", "definition", "cluster"} == set(kinds),
    )


def test_a_copy_without_faults_passes(drill):
    """First of all."""
    assert [] == failed(drill.verify_content())


@pytest.mark.parametrize("every", [FEW, pytest.param(1, marks=pytest.mark.slow)])
def test_each_fault_is_found_and_named(drill, done, monkeypatch, every):
    """A detail shows the first differences only; here it shows all."""
    monkeypatch.setattr(definitions, "_NAMED", 10_000)
    numbers = set(range(0, len(FAULTS), every)) - done
    put_in(drill, sorted(numbers))
    done |= numbers

    checks = drill.verify_content().checks
    unseen = [FAULTS[number].kind for number in sorted(done) if not named(checks, number)]

    assert [] == unseen


# What has no commit time: a sequence's value, roles and settings (read from views), and what only the copy has lost or gained there.
UNTOLD = {
    "definition: sequence far ahead",
    "definition: sequence set back",
    "cluster: role lost",
    "cluster: role's attribute",
    "cluster: role's setting",
    "cluster: role added",
    "cluster: database's setting",
}


@pytest.mark.slow
def test_a_restore_point_of_long_ago_shows_the_same_but_what_has_no_commit_time(drill, done, monkeypatch):
    """One reading of the source, of now: what may have changed there since is said to be unproved, and not taken for a fault."""
    monkeypatch.setattr(definitions, "_NAMED", 10_000)
    once = Proof(drill.proof.source, drill.proof.databases)
    once.record_after(drill.restore_point)

    checks = once.compare(drill.copy.connect)
    unseen = {FAULTS[number].kind for number in sorted(done) if not named(checks, number)}

    assert (len(FAULTS), UNTOLD) == (len(done), unseen)
