"""The procedure behind the runbook diagnose-connection-failure: why a client cannot connect, told without a login where none is possible.

It looks from the client's side, in the order in which a connection is made. What the client merely sees (refused, no answer) is the
finding only where no cause behind it was found; what could not be looked at is a SKIP with its reason.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import metrics
from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster, Instance
from aurora_ops.aws.credentials import forms
from aurora_ops.core.display import Chart, Line, Pictured, Report, Table
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose.connection import client, endpoint, entrance, path, server_log, status
from aurora_ops.diagnose.connection.entrance import Door
from aurora_ops.diagnose.connection.looks import Look, finding, passed, ranked, skipped, symptom

NAME = "diagnose-connection-failure"
RESOLVED, TCP, PATH, TLS, ANSWER, LOG = "name", "TCP", "network path", "TLS", "first answer", "PostgreSQL log"
_ORDER = (
    (RESOLVED, "the name has an address", "this machine's resolver"),
    (endpoint.ADDRESS, "the address that the client has is the cluster's", "DescribeDBClusters"),
    (status.CLUSTER, "the cluster takes connections", "DescribeDBClusters"),
    (status.INSTANCE, "an instance is there and answers", "DescribeDBInstances"),
    (status.PAUSE, "it does not sleep", "DescribeEvents"),
    (PATH, "routes, network ACLs and security groups let the client in", "EC2's Describe calls"),
    (TCP, "a connection is accepted", "this machine's TCP"),
    (TLS, "the certificate is of an authority that the client trusts, for this name", "a TLS handshake"),
    (ANSWER, "the server asks for a password", "a startup message"),
    (status.CONNECTIONS, "connections are left", "a startup message, CloudWatch"),
    (entrance.TOKEN, "the cluster takes tokens, the clock is right, the role is in rds_iam", "DescribeDBClusters, a startup message"),
    (entrance.SECRET, "a secret can be read, and its login is accepted", "Secrets Manager, a login"),
    (entrance.WRITES, "the session may write", "the session"),
    (LOG, "what the server says of failed logins", "DownloadDBLogFilePortion"),
)  # fmt: skip


@dataclass
class Diagnosis:
    """Looks once, at `look`. Use it in order: preflight, plan, look, findings, verify, undo."""

    access: Access
    address: str  # as the client has it: host or host:port; empty: the writer's
    client_at: str  # where the client is; empty: not looked at
    ca_file: str
    writes: bool
    timeout_seconds: float
    looks: list[Look] = field(default_factory=list)

    def preflight(self) -> Report:
        """Which cluster this is about, and whether this machine can ask RDS."""
        found = self.access.described()
        ready = passed(
            "RDS can be asked", f"{found.identifier}, version {found.engine_version}, instances: {len(found.instances)}"
        )
        return Report("preflight", (ready.check,))

    def plan(self) -> Table:
        """What will be looked at, in order. Nothing of it changes anything; a login reads only."""
        return Table(f"{len(_ORDER)} looks, none of which changes anything", ("look", "in order if", "asked"), _ORDER)

    def look(self) -> Pictured:
        """Look at everything on the way, and go on behind what fails as far as there is something to see."""
        self.looks = list(self._all())
        rows = [(look.name, look.verdict, look.detail) for look in self.looks]
        return Pictured(f"{len(rows)} looks", ("look", "verdict", "seen"), rows, draw=self._draw)

    def _draw(self) -> Chart:
        from aurora_ops.diagnose.connection import way  # matplotlib, where somebody looks

        return way.draw(self.looks)

    def findings(self) -> Table | Line:
        """The causes, first what comes first on the way in, each with what mends it."""
        found = ranked(self.looks)
        if not found:
            return Line(self._healthy())
        told = f"{found[0].name}: {found[0].detail}"
        return Table(
            told, ("finding", "evidence", "to mend it"), [(look.name, look.detail, look.mend) for look in found]
        )

    def bottom_line(self) -> Line:
        """The first finding in a sentence; or that there is none, and what was not looked at."""
        found = ranked(self.looks)
        return Line(f"{found[0].name}: {found[0].detail}. {found[0].mend}." if found else self._healthy())

    def _healthy(self) -> str:
        left = [look.name for look in self.looks if look.verdict == "SKIP"]
        seen = sum(look.verdict == "PASS" for look in self.looks)
        return f"Nothing stands in the way, of {seen} things that were looked at" + (
            f". Not looked at: {', '.join(left)}." if left else "."
        )

    def verify(self) -> Report:
        """Each look as a check: FAIL is a finding."""
        return Report(NAME, [look.check for look in self.looks])

    def undo(self) -> Line:
        """There is none."""
        return Line("no undo: nothing was changed; sessions that were opened are closed")

    def result(self) -> dict[str, object]:
        """What is worth keeping: the names of the findings, in order."""
        return {"findings": [look.name for look in ranked(self.looks)]}

    def _all(self) -> Iterator[Look]:
        found = self.access.described()
        host, port = endpoint.read(self.address, found)
        wanted = next((one for one in found.instances if one.endpoint == host), None) or _writer(found)
        tunnel = forms.read(self.access.login).tunnel
        near = (tunnel.host, tunnel.port or port) if tunnel else (host, port)
        resolved = client.resolve(*near)
        own = [*endpoint.look(self.access.session, found, host, port, resolved.addresses)]
        if resolved.outcome:
            yield finding(
                RESOLVED,
                f"{near[0]} has no address here ({resolved.said})",
                own[0].mend
                or "check the client's resolver: in a VPC, enableDnsSupport; elsewhere, dig the name at a public resolver",
            )
        else:
            yield passed(RESOLVED, f"{near[0]} is {', '.join(resolved.addresses)}")
        yield from own
        if resolved.outcome or any(look.verdict == "FAIL" for look in own):
            return  # all that follows would be about another server
        yield from status.look(found, wanted)
        yield self._asked(status.PAUSE, lambda: status.look_for_pause(self.access.session, found, wanted))
        yield self._asked(PATH, lambda: self._path(found, wanted, resolved.addresses[0], port))
        reached = client.reach(*near, self.timeout_seconds)
        if reached.outcome:
            yield symptom(
                TCP,
                f"{near[0]}:{near[1]}: {reached.said}{self._latest_event(wanted)}",
                self._advice(found, wanted, reached.outcome, resolved.addresses[0], port),
            )
            yield self._log(wanted)
            return
        yield passed(TCP, f"{near[0]}:{near[1]} accepts")
        database = self.access.one_database or found.database
        door = Door(self.access, found, host, port, near, database, self.timeout_seconds)
        yield from self._behind_tcp(door, wanted)

    def _behind_tcp(self, door: Door, wanted: Instance | None) -> Iterator[Look]:
        yield self._tls(door)
        greeted = door.greet(door.found.master_username)
        full = greeted.sqlstate == "53300"
        if greeted.outcome and not full:
            mend = (
                "wait until it has started" if greeted.sqlstate == "57P03" else "see the instance's status and its log"
            )
            yield symptom(
                ANSWER, f"{greeted.said}{f' (SQLSTATE {greeted.sqlstate})' if greeted.sqlstate else ''}", mend
            )
        elif not greeted.outcome:
            yield passed(ANSWER, f"the server asks for a password by {greeted.method}")
        yield self._connections(wanted, greeted if full else None)
        if greeted.outcome:
            yield self._log(wanted)
            return
        entered = entrance.enter(door)
        yield from entered.looks
        if entered.connection is None:
            yield skipped(entrance.WRITES, "no login was accepted")
        else:
            with entered.connection as connection:
                yield entrance.look_for_writes(door, connection, writes=self.writes)
        yield self._log(wanted)

    def _asked(self, name: str, look: Callable[[], Look]) -> Look:
        """A look at AWS; where the caller may not ask, a SKIP that says which right lacks."""
        try:
            return look()
        except (ClientError, metrics.MetricsError) as error:
            return skipped(name, str(error))

    def _path(self, found: Cluster, wanted: Instance | None, address: str, port: int) -> Look:
        if not self.client_at:
            return skipped(
                PATH, "where the client is was not said: give client_at, its subnet and security groups, or its address"
            )
        if wanted is None:
            return skipped(PATH, "there is no instance")
        described = self._described(wanted)
        place, target = (
            path.read_source(self.access.session, self.client_at),
            path.of_instance(self.access.session, described, address),
        )
        stopped = path.blocked(
            self.access.session, place, target, port, public=bool(described.get("PubliclyAccessible"))
        )
        if stopped:
            return finding(PATH, stopped.reason, stopped.command)
        return passed(PATH, f"nothing stops tcp {port} from {self.client_at} to {wanted.identifier}")

    def _described(self, wanted: Instance) -> dict[str, Any]:
        rds = self.access.session.client("rds")
        return dict(rds.describe_db_instances(DBInstanceIdentifier=wanted.identifier)["DBInstances"][0])

    def _latest_event(self, wanted: Instance | None) -> str:
        told = ""
        if wanted is not None:
            with suppress(ClientError):
                told = status.latest_event(self.access.session, wanted)
        return f"; its latest event: {told}" if told else ""

    def _advice(self, found: Cluster, wanted: Instance | None, outcome: str, address: str, port: int) -> str:
        if outcome == client.SILENT and wanted is not None:
            with suppress(ClientError):
                target = path.of_instance(self.access.session, self._described(wanted), address)
                let_in = ", ".join(path.admitted(self.access.session, target, port)) or "no source"
                return f"packets are dropped on the way: say where the client is (-p client_at subnet-…,sg-…) and run again; the security groups let in {let_in}"
        kind, name = ("instance", wanted.identifier) if wanted else ("cluster", found.identifier)
        return f"see what happened to it, and wait until it has recovered: aws rds describe-events --source-type db-{kind} --source-identifier {name} --duration 60"

    def _tls(self, door: Door) -> Look:
        ca_file = self.ca_file or self.access.session.ca_file
        if not ca_file:
            return skipped(TLS, "no file of authorities: name it, -p ca_file global-bundle.pem or AURORA_OPS_CA_BUNDLE")
        found = client.secure(*door.near, door.host, ca_file, self.timeout_seconds)
        mends = {
            "no authorities": "get AWS's: curl -O https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem, and name it as sslrootcert",
            "unknown authority": "give the client AWS's authorities: curl -O https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem, and name it as sslrootcert",
            "other name": "connect by the endpoint's own name, and not by an alias or an address: the certificate is for that name",
        }
        if not found.outcome:
            return passed(TLS, "the certificate is verified, for this name")
        return finding(TLS, f"{found.outcome}: {found.said}", mends.get(found.outcome, "see the instance's log"))

    def _connections(self, wanted: Instance | None, full: client.Answer | None) -> Look:
        if full is not None:
            return finding(
                status.CONNECTIONS,
                f"the server answers before any login: {full.said} (SQLSTATE {full.sqlstate})",
                entrance.FREE,
            )
        if wanted is None:
            return skipped(status.CONNECTIONS, "there is no instance")
        now = datetime.now(UTC)
        return self._asked(status.CONNECTIONS, lambda: _counted(self.access, wanted, now))

    def _log(self, wanted: Instance | None) -> Look:
        if wanted is None:
            return skipped(LOG, "there is no instance")
        try:
            told = server_log.counted(server_log.tail(self.access.session, wanted.identifier))
        except server_log.LogError as error:
            return skipped(LOG, str(error))
        return passed(LOG, f"in its last {server_log.LINES} lines: {told or 'no login was refused'}")


def _writer(found: Cluster) -> Instance | None:
    return next((one for one in found.instances if one.is_writer), None)


def _counted(access: Access, wanted: Instance, now: datetime) -> Look:
    table = metrics.read(
        access.session,
        wanted.identifier,
        ("DatabaseConnections",),
        now - timedelta(minutes=5),
        now,
        statistic="Maximum",
    )
    seen = table["DatabaseConnections"].dropna()
    if seen.empty:
        return passed(
            status.CONNECTIONS, "the server begins another session; CloudWatch has no count of the last five minutes"
        )
    return passed(
        status.CONNECTIONS, f"{seen.iloc[-1]:.0f} in the latest minute, and the server begins another session"
    )


def diagnose_connection_failure(
    access: Access,
    *,
    address: str = "",
    client_at: str = "",
    ca_file: str = "",
    writes: bool = True,
    timeout_seconds: float = 5.0,
) -> Diagnosis:
    """Prepare it. Nothing is looked at yet.

    Raises
    ------
    InputError
        `timeout_seconds` is not positive, or `client_at` is no place.
    """
    if not 0 < timeout_seconds <= 120:
        raise InputError(f"timeout_seconds={timeout_seconds:g}: how long one look waits, more than 0 and at most 120.")
    if client_at:
        path.read_source(access.session, client_at)
    return Diagnosis(access, address, client_at, ca_file, writes, timeout_seconds)
