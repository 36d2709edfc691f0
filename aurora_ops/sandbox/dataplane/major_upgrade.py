"""A cluster's data taken to another major version of PostgreSQL, by PostgreSQL's own pg_upgrade.

It works on a copy of the writer's data, so a refusal costs nothing: the servers start again as they were. What pg_upgrade refuses is
refused (reg* columns, libraries that are missing), and before it what Aurora's own look refuses while the cluster still runs. What is
not carried over is lost as in Aurora: the planner's statistics, and the times of commits. Extensions that the sandbox itself made, and
that the new programs lack, go first.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import LiteralString

from psycopg import sql

from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.programs import IAM, Programs
from aurora_ops.sandbox.dataplane.server import ADMIN, Server, ServerError
from aurora_ops.sandbox.dataplane.template import initialize

LOG = "pg_upgrade_precheck.log"  # beside the writer's own, after a refusal
_OURS = ("amcheck", "pg_stat_statements")
_LOOKS: dict[str, LiteralString] = {
    "prepared transactions": "SELECT gid FROM pg_prepared_xacts",
    "logical replication slots": "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical'",
}
_FAILED = re.compile(r"^(?!Checking|Performing|-|\*|\s*$|Consult|Failure).+", re.M)


class UpgradeRefusedError(ServerError):
    """pg_upgrade refuses this cluster; the text is its own, with the objects that it names."""


def check(writer: Server) -> None:
    """What Aurora refuses before it stops anything, and pg_upgrade would not name or not see.

    Raises
    ------
    UpgradeRefusedError
        There is some of it; which.
    """
    with writer.connect() as connection:
        for what, query in _LOOKS.items():
            if found := [name for (name,) in connection.execute(query).fetchall()]:
                raise UpgradeRefusedError(
                    f"The instance could not be upgraded because it has {what}: {', '.join(found)}. Remove them and try again."
                )


def upgrade(cluster: ClusterData, programs: Programs) -> None:
    """Take the stopped cluster's data to the major version of `programs`. Its servers are new and stopped; readers are to be built anew.

    Raises
    ------
    UpgradeRefusedError
        pg_upgrade refuses. Nothing has changed; its output is in `LOG` beside the writer's log.
    """
    old = cluster.writer
    if old is None:
        raise ServerError(f"{cluster.identifier} never had an instance, so it has no data to upgrade")
    work = cluster.directory / "upgrade"
    shutil.rmtree(work, ignore_errors=True)
    programs.own(work)
    new = cluster.new_server(programs)
    new.authority = new.ldap_server = None  # its first starts are for the sandbox alone
    its_own, new.password = new.password, old.password  # the old roles come over with their passwords
    try:
        copy = _copy(old, programs, work)
        initialize(new)
        _run(copy, new, old.directory / LOG)
        _settle(new, its_own)
    except BaseException:
        shutil.rmtree(new.directory, ignore_errors=True)
        cluster.libraries = old.programs.libraries
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    cluster.use(programs)
    new.authority, new.ldap_server = cluster.authority, cluster.ldap_server
    cluster.writer = new
    for name in cluster.readers:
        shutil.rmtree(cluster.readers[name].directory, ignore_errors=True)
        cluster.readers[name] = cluster.new_server(programs)
    shutil.rmtree(old.directory, ignore_errors=True)


def _copy(old: Server, programs: Programs, work: Path) -> Server:
    """A copy of the data in which pg_upgrade may link, without what is ours and what the new programs do not know."""
    copy = Server(old.programs, work / "old", old.password)
    programs.own(copy.directory)
    programs.run(["cp", "-Rp", str(old.data), str(copy.data)])
    if unknown := [name for name in _OURS if name in programs.missing]:
        try:
            copy.start_isolated(archiving=False)
            with copy.connect() as connection:
                rows = connection.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
            for (database,) in rows:
                with copy.connect(database) as connection:
                    for name in unknown:
                        connection.execute(sql.SQL("DROP EXTENSION IF EXISTS {}").format(sql.Identifier(name)))
        finally:
            copy.stop()
    return copy


def _run(copy: Server, new: Server, log: Path) -> None:
    programs = new.programs
    # The servers that pg_upgrade starts listen on a socket only, whose path must be short.
    sockets, passfile = Path(tempfile.mkdtemp(prefix="up")), copy.directory / "pgpass"
    programs.write_private(passfile, f"*:*:*:{ADMIN}:{copy.password}\n")  # not the environment: that is inherited
    try:
        if programs.user:
            shutil.chown(sockets, programs.user)
        result = programs.attempt(
            [programs.path("pg_upgrade"), "-b", str(copy.programs.directory), "-B", str(programs.directory), "-d", str(copy.data),
             "-D", str(new.data), "-U", ADMIN, "--link", "--no-sync", "--socketdir", str(sockets)],
            {"PGPASSFILE": str(passfile), "PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            str(new.directory),
        )  # fmt: skip
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    if result.returncode:
        output = result.stdout + result.stderr
        found = sorted((new.data / "pg_upgrade_output.d").rglob("*.txt"))
        named = "\n".join(f"{one.name}:\n{one.read_text(errors='replace').strip()}" for one in found)
        programs.write_private(log, f"{output.strip()}\n{named}\n")
        raise UpgradeRefusedError(" ".join([*_FAILED.findall(output), *named.split()]))


def _settle(new: Server, its_own: str) -> None:
    """rdsadmin gets the password of all servers of these programs, by which a restored copy is entered too.

    From 16 on only a member can grant a role; before, whoever may create roles could. So the master stays able to grant rds_iam.
    """
    try:
        new.start_isolated(archiving=False)
        with new.connect() as connection:
            hashed = connection.pgconn.encrypt_password(its_own.encode(), ADMIN.encode()).decode()
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ADMIN), sql.Literal(hashed)))
            if IAM in new.programs.missing:
                connection.execute("GRANT rds_iam TO rds_superuser WITH ADMIN OPTION")
    finally:
        new.stop()
        new.password, new.hosts, new.port = its_own, (), 0
