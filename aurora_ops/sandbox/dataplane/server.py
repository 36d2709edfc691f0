"""One real PostgreSQL server: its data directory, its WAL archive, and copies of its data.

Everything that differs between a server, its standby and its restored copy is given on the command line at start, so a copied
data directory never takes its source's port or archive along. There are no Unix sockets, hence no limit to the length of a
path.
"""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.dataplane.ldap_server import LdapServer
from aurora_ops.sandbox.dataplane.programs import Programs
from aurora_ops.sandbox.dataplane.tls import Authority, access
from aurora_ops.sandbox.parameters.in_force import Groups, text

ADMIN = "rdsadmin"  # owns the server, as in RDS; the master user is not a superuser
WAL_SEGMENT_MIB = 1  # the archive advances by whole segments; small ones keep it near the present
START_SECONDS = 30
_PORT_TRIES = 3
_PORT_TAKEN = "could not create any TCP/IP sockets"  # PostgreSQL's message when another program listens there
_CONTROL = "global/pg_control"


class ServerError(AuroraOpsError):
    """A PostgreSQL server failed an operation."""


class RecoveryError(ServerError):
    """Recovery ended before its target: the archive ends earlier."""


@dataclass
class Server:
    """A data directory and, while it runs, the process that serves it on `hosts` (loopback addresses) and one `port`."""

    programs: Programs
    directory: Path
    password: str = field(repr=False)  # of rdsadmin
    hosts: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    backup_directory: Path | None = None  # where the archive and base backups lie, when they outlive this server
    settings: dict[str, str] = field(default_factory=dict)  # given at the last start
    configuration: dict[str, str] = field(default_factory=dict)  # of the parameter groups, as it was last given
    groups: Groups | None = None  # whose values are in force
    authority: Authority | None = None  # signs this server's certificate; None: no TLS
    requires_tls: bool = False
    names: tuple[str, ...] = ()  # of its certificate: the endpoints' addresses; none: `hosts`
    ldap_server: LdapServer | None = None  # checks the tokens of members of rds_iam; None: they log in by password

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @property
    def archive(self) -> Path:
        """Where finished WAL segments go."""
        return (self.backup_directory or self.directory) / "archive"

    @property
    def log(self) -> Path:
        """PostgreSQL's log."""
        return self.directory / "postgresql.log"

    @property
    def is_running(self) -> bool:
        """Whether the postmaster runs."""
        process = self.process  # another thread may be reaping it
        return process is not None and process.poll() is None

    def connect(self, database: str = "postgres", **kwargs: Any) -> psycopg.Connection:
        """Connect as rdsadmin, the superuser, whose password only the sandbox has."""
        return psycopg.connect(
            host=self.hosts[0], port=self.port, dbname=database, user=ADMIN, password=self.password,
            autocommit=True, connect_timeout=5, application_name="rdsadmin", options="-c timezone=UTC", sslmode="disable", **kwargs,
        )  # fmt: skip

    def start(
        self, hosts: tuple[str, ...], port: int, *, settings: dict[str, str] | None = None, archiving: bool = True
    ) -> None:
        """Start on `hosts` and `port` and return when the server answers queries and is not in recovery (a standby: answers)."""
        self.hosts, self.port, self.settings = hosts, port, settings or {}
        self.programs.own(self.directory)
        self.programs.own(self.backup_directory or self.directory)
        self.programs.own(self.archive)
        options = {
            "listen_addresses": ",".join(dict.fromkeys(hosts)),
            "port": str(port),
            "unix_socket_directories": "",
            "hba_file": str(self._write_access()),
            "fsync": "off",  # the sandbox proves behaviour, not durability
            "track_commit_timestamp": "on",
            "config_file": str(self.write_configuration()),
            "max_wal_size": "256MB",
            "log_timezone": "UTC",
            "log_line_prefix": "%t:%r:%u@%d:[%p]:",  # Aurora's
            "archive_mode": "on" if archiving else "off",
            # A server that ended between copying a segment and recording it archives it again: not a failure.
            "archive_command": f"test ! -f '{self.archive}/%f' && cp '%p' '{self.archive}/%f.part' && mv '{self.archive}/%f.part' '{self.archive}/%f' || cmp -s '%p' '{self.archive}/%f'",
        }
        if self.authority:
            certificate, key = self.directory / "server.crt", self.directory / "server.key"
            for path, text in zip((certificate, key), self.authority.issue(self.names or hosts), strict=True):
                self.programs.write_private(path, text)
            options |= {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        options |= self.settings
        command = [
            self.programs.path("postgres"),
            "-D",
            str(self.data),
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        with self.log.open("ab") as log:
            # Its own session: a Ctrl-C meant for a notebook must not reach the database.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.programs.popen_identity(),
            )

    def start_isolated(
        self, *, settings: dict[str, str] | None = None, archiving: bool = True, seconds: float = START_SECONDS
    ) -> None:
        """Start on a free loopback port that only this process knows, and `wait`; tried again if another program takes the port."""
        for tries_left in reversed(range(_PORT_TRIES)):
            self.start(("127.0.0.1",), free_port("127.0.0.1"), settings=settings, archiving=archiving)
            try:
                self.wait(seconds=seconds)
            except ServerError as error:
                if not tries_left or _PORT_TAKEN not in str(error):
                    raise
                self.stop()
            else:
                return

    def write_configuration(self) -> Path:
        """Write the reloadable settings and those of the parameter groups to a file outside the data directory."""
        path = self.directory / "postgresql.conf"
        statements = "pg_stat_statements" not in self.programs.missing
        ours = {
            "wal_level": "replica",
            "timezone": "UTC",
            "track_activity_query_size": "4096",
            "track_io_timing": "on",
            "compute_query_id": "on",
            "rds.extensions": ",".join(self.programs.extensions),  # RDS's name for what a master user can create
        } | (
            {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"} if statements else {}
        )
        theirs = self.configuration if self.authority else _without(self.configuration, "ssl_")
        self.programs.write_private(path, f"include '{self.data}/postgresql.conf'\n{text(ours | theirs)}")
        return path

    def reload(self, configuration: dict[str, str]) -> None:
        """Reload a running server's parameters. It applies the reloadable ones and logs those that it refuses."""
        self.configuration = configuration
        if self.is_running and self.process:
            self.write_configuration()
            self.process.send_signal(signal.SIGHUP)

    def _write_access(self) -> Path:
        path = self.directory / "pg_hba.conf"
        iam = self.ldap_server.access_rules(self.directory.parent.name, self.directory.name) if self.ldap_server else ""
        self.programs.write_private(
            path, access(requires_tls=self.requires_tls and self.authority is not None, iam=iam)
        )
        return path

    def require_tls(self, required: bool) -> None:
        """Refuse new connections without TLS, or accept them again. A server without TLS does not change."""
        self.requires_tls = required
        if self.is_running and self.process:
            self._write_access()
            self.process.send_signal(signal.SIGHUP)

    def wait(self, *, standby: bool = False, seconds: float = START_SECONDS) -> None:
        """Wait until queries are answered and, unless it is a standby, recovery has ended. A server in recovery may already answer queries."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.is_running:
                raise ServerError(f"PostgreSQL ended while starting: {self.last_log_lines()}")
            with suppress(psycopg.OperationalError), self.connect() as connection:
                if standby or not _one(connection, "SELECT pg_is_in_recovery()"):
                    return
            time.sleep(0.02)
        raise ServerError(f"PostgreSQL did not answer within {seconds:.0f} s: {self.last_log_lines()}")

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server and reap its process; nothing happens when it does not run."""
        if self.process is None:
            return
        if self.is_running:
            self.process.send_signal(3 if immediate else 2)  # SIGQUIT: immediate, SIGINT: fast shutdown
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)
        self.process = None

    def last_log_lines(self, lines: int = 3) -> str:
        """The last FATAL or ERROR lines of the log, or its last lines."""
        text = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " | ".join([line for line in text[-40:] if "FATAL" in line or "PANIC" in line][-lines:] or text[-lines:])

    def promote(self) -> None:
        """Promote a standby to a writer, on a new timeline."""
        with self.connect() as connection:
            if not _one(connection, "SELECT pg_promote(true, %s)", START_SECONDS):
                raise ServerError(f"PostgreSQL was not promoted within {START_SECONDS} s: {self.last_log_lines()}")

    @property
    def was_promoted(self) -> bool:
        """Whether a server that was created as a standby has been promoted. An interrupted copy of the writer has not.

        pg_basebackup writes backup_label first and pg_control last; a server that starts on the copy removes the label.
        """
        marks = [(self.data / name).exists() for name in ("standby.signal", "backup_label", _CONTROL)]
        return marks == [False, False, True]

    def invalidate(self) -> None:
        """Make the data directory unusable: no server starts on it."""
        (self.data / _CONTROL).unlink(missing_ok=True)

    def now(self) -> datetime:
        """The server's time."""
        with self.connect() as connection:
            return _utc(_one(connection, "SELECT clock_timestamp()"))

    def wal_position(self, connection: psycopg.Connection) -> tuple[datetime, str]:
        """The time, and the WAL position after it: no commit before that time is beyond the position."""
        row = connection.execute("SELECT clock_timestamp(), pg_current_wal_lsn()::text").fetchone()
        if row is None:
            raise ServerError(f"PostgreSQL did not tell its WAL position: {self.last_log_lines()}")
        return _utc(row[0]), row[1]

    def copy_into(self, directory: Path, *, wal: bool = False) -> None:
        """Copy the running server's data directory; `wal`: with the WAL that the copy needs to become consistent.

        A corrupted page is copied as it is, as in a copy of Aurora's storage: finding it is the task of a check.
        """
        passfile = self.directory / f"{directory.parent.name}.pgpass"
        self.programs.write_private(passfile, f"{self.hosts[0]}:{self.port}:*:{ADMIN}:{self.password}\n")
        try:
            self.programs.run(
                [self.programs.path("pg_basebackup"), "-h", self.hosts[0], "-p", str(self.port), "-U", ADMIN, "-D", str(directory),
                 f"--wal-method={'stream' if wal else 'none'}", "--checkpoint=fast", "--no-verify-checksums", "--no-sync", "--no-password"],
                env={"PGPASSFILE": str(passfile), "PGSSLMODE": "disable", "PATH": os.environ.get("PATH", "")},
            )  # fmt: skip
        finally:
            passfile.unlink(missing_ok=True)

    def archive_now(self, connection: psycopg.Connection, seconds: float = 10) -> datetime:
        """Archive all WAL so far and return the time up to which a restore can go.

        A transaction is committed after that time, so that recovery finds a record after any earlier target and stops there;
        without a record after the target it would end in FATAL.
        """
        until = _one(connection, "SELECT clock_timestamp()")
        connection.execute("SELECT pg_current_xact_id()")
        segment = _one(connection, "SELECT pg_walfile_name(pg_switch_wal() - 1)")
        deadline = time.monotonic() + seconds
        while not (self.archive / segment).exists():
            if time.monotonic() > deadline:
                raise ServerError(
                    f"WAL segment {segment} was not archived within {seconds:.0f} s: {self.last_log_lines()}"
                )
            time.sleep(0.02)
        return _utc(until)


def _one(connection: psycopg.Connection, query: LiteralString, *values: Any) -> Any:
    row = connection.execute(query, values or None).fetchone()
    if row is None:
        raise ServerError(f"no answer to: {query}")
    return row[0]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _without(configuration: dict[str, str], prefix: str) -> dict[str, str]:
    return {name: value for name, value in configuration.items() if not name.startswith(prefix)}


def can_bind(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a socket that was closed a moment ago does not count
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str) -> int:
    """A free TCP port of `host`."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
