"""The template of a data directory: created once by initdb, and copied for each new cluster.

The roles are RDS's: `rdsadmin` owns the server, a master user is a member of `rds_superuser`, members of `rds_iam` log in by
token and by nothing else, so `rds_superuser` is not a member of it. A master user can grant it, since it may create roles.
"""

import fcntl
import secrets
import shutil
from pathlib import Path

from aurora_ops.sandbox.client.state import passable, root_directory
from aurora_ops.sandbox.dataplane.programs import IAM, Programs
from aurora_ops.sandbox.dataplane.server import ADMIN, WAL_SEGMENT_MIB, Server

_ROLES = """
CREATE ROLE rds_superuser NOLOGIN;
GRANT pg_monitor, pg_signal_backend, pg_checkpoint, pg_read_all_data TO rds_superuser WITH ADMIN OPTION;
CREATE ROLE rds_iam NOLOGIN;
CREATE ROLE rds_replication NOLOGIN;
GRANT rds_replication TO rds_superuser WITH ADMIN OPTION;
"""


def template(programs: Programs) -> tuple[Path, str]:
    """The folder of the template's data directory and rdsadmin's password; made on first use."""
    folder = passable(root_directory() / "templates")
    home = folder / f"{programs.version}-{programs.user or 'self'}-4"
    secret = folder / f"{home.name}.password"
    with (folder / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two sandboxes that start together make one template
        if not secret.exists():
            shutil.rmtree(home, ignore_errors=True)
            _make(programs, home, secret)
    return home / "data", secret.read_text()


def initialize(server: Server) -> None:
    """An empty data directory, whose only role is rdsadmin with the server's password."""
    passwords, programs = server.directory / "initdb.password", server.programs
    programs.write_private(passwords, server.password)
    try:
        programs.run(
            [programs.path("initdb"), "-D", str(server.data), "-U", ADMIN, f"--pwfile={passwords}", "--auth=scram-sha-256", "--data-checksums",
             "--encoding=UTF8", "--locale=C", f"--wal-segsize={WAL_SEGMENT_MIB}", "--no-sync", "--no-instructions"],
        )  # fmt: skip
    finally:
        passwords.unlink(missing_ok=True)


def _make(programs: Programs, home: Path, secret: Path) -> None:
    programs.own(home)
    password = secrets.token_urlsafe(24)
    server = Server(programs, home, password)
    initialize(server)
    try:
        server.start_isolated(archiving=False)
        with server.connect() as connection:
            connection.execute(_ROLES)
            if IAM in programs.missing:  # no user is locked out, and from 16 on only a member can grant
                connection.execute("GRANT rds_iam TO rds_superuser WITH ADMIN OPTION")
            connection.execute("CREATE DATABASE rdsadmin")
            connection.execute("REVOKE CONNECT ON DATABASE rdsadmin FROM PUBLIC")
        if "pg_stat_statements" not in programs.missing:
            with server.connect("rdsadmin") as connection:
                connection.execute("CREATE EXTENSION pg_stat_statements")
        if "amcheck" not in programs.missing:
            # In RDS a member of rds_superuser may create it; here it is there, and such a member may use it.
            with server.connect("template1") as connection:
                connection.execute("CREATE EXTENSION amcheck SCHEMA pg_catalog")
    finally:
        server.stop()
    secret.touch(mode=0o600)
    secret.write_text(password)  # last: its presence says that the template is complete
