"""On a machine without PostgreSQL 15 the wheel's programs serve, and say what they lack."""

import os
import shutil
import socket
import subprocess
from datetime import datetime

import pytest
from common import INSTANCE, client_of, connect, create, describe

from aurora_ops.sandbox.client import lifecycle, state
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane import server as postgres
from aurora_ops.sandbox.dataplane.backups import ClusterBackups
from aurora_ops.sandbox.dataplane.server import RecoveryError, Server, ServerError
from aurora_ops.sandbox.dataplane.template import template


@pytest.fixture
def wheel(monkeypatch):
    """The programs that are found where none is installed."""
    monkeypatch.delenv(programs.PROGRAMS_VARIABLE, raising=False)
    monkeypatch.setattr(programs, "_installed", lambda *_: [])
    return programs.find()


def test_an_installed_version_15_comes_first():
    found = programs.find()
    if not any(programs._complete(folder) for folder in programs._installed()):
        pytest.skip("no PostgreSQL is installed on this machine")

    assert ("15", ()) == (found.version.split(".")[0], found.missing)


def test_the_wheel_says_what_it_lacks(wheel):
    """Whoever needs one of these says SKIP, with this as the reason."""
    assert ("amcheck", "pg_stat_statements", "TLS", "IAM authentication", "major version 15") == wheel.missing
    assert "missing: amcheck" in wheel.describe()


def test_as_root_the_programs_lie_where_the_unprivileged_user_reaches_them(wheel):
    """PostgreSQL refuses to run as root, and a root's home is closed to everybody else."""
    if os.geteuid() != 0:
        pytest.skip("this is about root")
    answer = subprocess.run(
        [wheel.path("initdb"), "--version"], capture_output=True, text=True, check=True, **wheel.popen_identity()
    )

    assert wheel.version in answer.stdout


def test_a_copy_for_the_unprivileged_user_runs(wheel, monkeypatch):
    """The virtual environment may lie in root's home; the copy brings the libraries along."""
    if os.geteuid() != 0:
        pytest.skip("this is about root")
    monkeypatch.setattr(programs, "_traversable", lambda _: False)
    copied = programs.find()

    assert copied.directory.is_relative_to(state.root_directory())
    assert wheel.version in copied.run([copied.path("postgres"), "--version"]).stdout


def test_the_wheel_restores_to_a_point_in_time_and_refuses_one_beyond(wheel):
    """The same recovery as with version 15, to the same second, with the same refusal."""
    data, password = template(wheel)
    home = state.passable(state.root_directory() / "tests" / f"wheel-{os.getpid()}")
    source, copy = Server(wheel, home / "source", password), Server(wheel, home / "copy", password)
    wheel.own(source.directory)
    wheel.run(["cp", "-Rp", str(data), str(source.data)])
    try:
        source.start_isolated()
        backups = ClusterBackups(source.directory)
        backups.take(source, "wheel")
        with source.connect() as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
            (moment,) = connection.execute("SELECT clock_timestamp()").fetchone()
            connection.execute("DROP TABLE kept")
            source.archive_now(connection)

        backups.recover(copy, moment)
        copy.start_isolated()
        with copy.connect() as connection:
            assert (1,) == connection.execute("SELECT n FROM kept").fetchone()
        with pytest.raises(RecoveryError, match="does not reach"):
            backups.recover(Server(wheel, home / "beyond", password), datetime.fromisoformat("2100-01-01T00:00:00Z"))
    finally:
        source.stop(immediate=True)
        copy.stop(immediate=True)
        shutil.rmtree(home)


def test_a_port_that_another_program_took_costs_a_second_try(monkeypatch):
    """Between the look for a free port and PostgreSQL's own bind another program may be faster. Three in a row are an error."""
    found = programs.find()
    data, password = template(found)
    home = state.passable(state.root_directory() / "tests" / f"port-{os.getpid()}")
    server = Server(found, home / "server", password)
    found.own(server.directory)
    found.run(["cp", "-Rp", str(data), str(server.data)])
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        ports = iter([taken, postgres.free_port("127.0.0.1"), taken, taken, taken])
        monkeypatch.setattr(postgres, "free_port", lambda _: next(ports))
        try:
            server.start_isolated(archiving=False)
            assert taken != server.port
            with server.connect() as connection:
                assert (1,) == connection.execute("SELECT 1").fetchone()
            server.stop()

            with pytest.raises(ServerError, match="could not create any TCP/IP sockets"):
                server.start_isolated(archiving=False)
            assert [] == list(ports)
        finally:
            server.stop(immediate=True)
            shutil.rmtree(home)


WHEEL = {major: programs._wheel(major) for major in (16, 18)}


def test_a_cluster_of_another_major_gets_its_programs_where_they_lack_nothing(wheel, monkeypatch):
    """Where all have the wheel's, each has the wheel's of its own major, which then is not missing."""
    other = programs.of_major(18, wheel)

    assert (18, True) == (other.major, "major version 18" not in other.missing)


def test_programs_that_lack_what_the_first_have_are_not_taken(monkeypatch):
    """A cluster of version 16 with TLS on version 15 tells more than one without on version 16."""
    found = programs.find()
    if "TLS" in found.missing:
        pytest.skip("no PostgreSQL with TLS is installed on this machine")
    monkeypatch.setattr(programs, "_installed", lambda *_: [WHEEL[16]])

    assert None is programs.of_major(16, found)
    assert None is programs.of_major(17, found)


def test_a_folder_that_is_named_serves_the_clusters_of_its_major(name, monkeypatch):
    """The variable names several; the second is taken although it lacks TLS. Its backups are restored by it, too."""
    first = programs.find()
    if first.major != 15:
        pytest.skip("no PostgreSQL 15 is installed on this machine")
    monkeypatch.setenv(programs.PROGRAMS_VARIABLE, f"{first.directory}{os.pathsep}{WHEEL[16]}")
    rds = client_of(lifecycle.start(name))
    versions = {"old": "15.12", "new": "16.10"}
    for identifier, version in versions.items():
        create(rds, identifier, EngineVersion=version)
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="copy", SourceDBClusterIdentifier="new", UseLatestRestorableTime=True
    )
    rds.get_waiter("db_cluster_available").wait(
        DBClusterIdentifier="copy", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    rds.create_db_instance(DBInstanceIdentifier="copy-1", DBClusterIdentifier="copy", **INSTANCE)

    lifecycle.stop(name)
    rds = client_of(lifecycle.start(name))

    found = {}
    for identifier in ("old", "new", "copy"):
        with connect(describe(rds, identifier)) as connection:
            found[identifier] = connection.info.server_version // 10000
    assert {"old": 15, "new": 16, "copy": 16} == found
