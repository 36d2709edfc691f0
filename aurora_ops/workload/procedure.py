"""A workload that looks like the application's: seeded content, then concurrent clients for some seconds against the writer.

Nothing runs before `run` and nothing after it. The rows that clients write stay: they are ordinary tenants' data and satisfy
every invariant of `sql/checks`.
"""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import psycopg
from psycopg import sql
from tqdm import tqdm

from aurora_ops.aws.access import Access
from aurora_ops.core.display import Chart, Check, Line, Report, Table
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.schema import procedure as schema
from aurora_ops.workload import safety
from aurora_ops.workload.clients import MIXES, ROTA, Known
from aurora_ops.workload.content import COLUMNS, generate

Connect = Callable[[], psycopg.Connection]

DEFAULT_TENANTS = 200
THINK_SECONDS = 0.02  # mean pause of a client between two transactions
STATEMENT_TIMEOUT = "15s"  # a client gives up rather than hang past the end
TOLERATED_ERRORS = 0.01  # share of transactions; a failover in between shows as more


class WorkloadError(AuroraOpsError):
    """The workload could not run."""


class WorkloadRefusedError(InputError, WorkloadError):
    """It would write where it must not, or its parameters make no sense. Nothing was written."""


@dataclass(frozen=True)
class Load:
    """What the clients did. All zero when nothing ran, as in a dry run; `line` then says why."""

    line: str
    seconds: float = 0.0
    clients: int = 0
    by_kind: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    seeded_rows: int = 0
    committed_at: Mapping[str, Sequence[float]] = field(default_factory=dict, repr=False)  # by application, seconds

    @property
    def transactions(self) -> int:
        """Committed transactions."""
        return sum(self.by_kind.values())

    @property
    def failures(self) -> int:
        """Transactions that were rolled back."""
        return sum(self.errors.values())

    @property
    def tps(self) -> float:
        """Committed transactions per second."""
        return round(self.transactions / self.seconds, 1) if self.seconds else 0.0

    def __repr__(self) -> str:
        return self.line

    def _repr_markdown_(self) -> str:
        rows = [(kind, number, "committed") for kind, number in sorted(self.by_kind.items())]
        rows += [(kind, number, "failed") for kind, number in sorted(self.errors.items())]
        return Table(self.line, ("kind", "number", "outcome"), rows)._repr_markdown_() if rows else f"**{self.line}**"

    def over_time(self) -> Chart | Line:
        """Commits a second, by application."""
        from aurora_ops.workload import views  # matplotlib, where somebody looks

        return views.over_time(self.committed_at, self.seconds) if self.committed_at else Line("nothing was applied")


def is_seeded(connection: psycopg.Connection) -> bool:
    """Whether there are tenants to work with."""
    return connection.execute("SELECT EXISTS (SELECT FROM tenants)").fetchone() == (True,)


def seed(connection: psycopg.Connection, *, tenants: int = DEFAULT_TENANTS, seed: int = 1) -> dict[str, int]:
    """Write content for `tenants` tenants in one transaction and return the rows per table. About a second for 200 tenants.

    Raises
    ------
    WorkloadRefusedError
        There is content already: it would be mixed with invented rows.
    """
    if tenants < 1:
        raise WorkloadRefusedError(f"tenants={tenants} would write nothing for clients to work with. Use 1 or more.")
    if is_seeded(connection):
        raise WorkloadRefusedError(
            "the database already holds tenants, and invented rows among them could not be told apart later. "
            "Use an empty database, or run the workload on what is there."
        )
    rows = generate(tenants, seed=seed)
    with connection.transaction(), connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier("public", table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with cursor.copy(statement) as copy:
                for row in rows[table]:
                    copy.write_row(row)
    with connection.cursor() as cursor:
        for table in COLUMNS:  # the planner has seen nothing of it yet
            cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("public", table)))
    return {table: len(written) for table, written in rows.items()}


def run(connect: Connect, *, seconds: float, clients: int, seed: int = 1, progress: bool = False) -> Load:
    """Let `clients` clients work for `seconds` and return what they did. `connect` is called once for each client.

    When it returns, every thread has ended and every connection is closed, also after an interrupt.
    """
    if seconds <= 0 or clients < 1:
        raise WorkloadRefusedError(
            f"seconds={seconds} and clients={clients} describe no work. Use at least one second and one client."
        )
    with connect() as connection:
        known = Known.read(connection)
    if not (known.tenants and known.subscriptions and known.plans):
        raise WorkloadError(
            "the tables hold no tenants, subscriptions or plans, so clients have nothing to ask for. Seed them first."
        )
    stopping = threading.Event()
    workers = [_Client(connect, known, stopping, number, seed) for number in range(clients)]
    started = time.monotonic()
    try:
        for worker in workers:
            worker.start()
        with tqdm(total=round(seconds), unit="s", desc="workload", file=sys.stdout, disable=not progress) as bar:
            while (elapsed := time.monotonic() - started) < seconds:
                stopping.wait(min(1.0, seconds - elapsed))
                bar.update(round(time.monotonic() - started) - bar.n)
    finally:
        stopping.set()
        for worker in (one for one in workers if one.ident is not None):  # those that were started
            worker.join()
    elapsed = time.monotonic() - started
    by_kind = sum((worker.committed for worker in workers), Counter())
    errors = sum((worker.failed for worker in workers), Counter())
    line = f"LOAD {by_kind.total()} transactions by {clients} clients in {elapsed:.0f} s, {by_kind.total() / elapsed:.0f} a second, {errors.total()} errors"
    at: dict[str, list[float]] = {}
    for worker in workers:
        at.setdefault(worker.application, []).extend(moment - started for moment in worker.moments)
    return Load(line, elapsed, clients, dict(by_kind), dict(errors), committed_at=at)


class _Client(threading.Thread):
    """One client: a connection, a mix, a generator of its own."""

    def __init__(self, connect: Connect, known: Known, stopping: threading.Event, number: int, seed: int) -> None:
        self.application = ROTA[number % len(ROTA)]
        super().__init__(name=f"{self.application}-{number}", daemon=True)
        self.connect, self.known, self.stopping = connect, known, stopping
        # A run on top of an earlier one with the same seed must not write the same ids again.
        self.rng = random.Random(f"{seed}-{number}-{time.time_ns()}")  # noqa: S311 - content, not a secret
        self.order = random.Random(f"{seed}-{number}")  # noqa: S311 - which transaction comes next: this the seed decides
        self.committed: Counter[str] = Counter()
        self.moments: list[float] = []
        self.failed: Counter[str] = Counter()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                with self.connect() as connection:
                    self._work(connection)
            except (psycopg.Error, AuroraOpsError) as error:  # lost, or not accepted: a failover passes by
                self.failed[type(error).__name__] += 1
                self.stopping.wait(0.5)

    def _work(self, connection: psycopg.Connection) -> None:
        for name, value in (("application_name", self.application), ("statement_timeout", STATEMENT_TIMEOUT)):
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        mix = MIXES[self.application]
        while not self.stopping.is_set():
            (transaction,) = self.order.choices(list(mix), list(mix.values()))
            try:
                with connection.transaction():
                    transaction(connection, self.rng, self.known)
                self.committed[transaction.__name__] += 1
                self.moments.append(time.monotonic())
            except psycopg.Error as error:
                self.failed[type(error).__name__] += 1
                if connection.closed:
                    return
            self.stopping.wait(self.order.expovariate(1 / THINK_SECONDS))


# --- the runbook's spine


def preflight(access: Access) -> Report:
    """Whether clients could work on this database. Changes nothing."""
    if reason := safety.why_never(access):
        return Report("preflight", (Check("this may be written to", "FAIL", reason),))
    access.require_one_database()
    with access.connect() as connection:
        loaded = _is_loaded(connection)
        reason = safety.why_not_among(access, connection) if loaded else ""
        advice = f"no, and the clients write to the nine tables of sql/schema. {_advice(access)}"
        return Report(
            "preflight",
            (
                Check.of("this may be written to", not reason, reason),
                Check.of("schema is loaded", loaded, "" if loaded else advice),
            ),
        )


def _is_loaded(connection: psycopg.Connection) -> bool:
    return schema.verify_catalog(connection).verdict == "PASS"


def _advice(access: Access) -> str:
    if access.environment:
        return "Run load-schema first"
    return f"Make a database for it and run load-schema first: -p cluster {access.identifier} -p database NAME"


def plan(access: Access, *, seconds: int, clients: int, tenants: int = DEFAULT_TENANTS, seed: int = 1) -> Plan:
    """What would be written. A live production cluster is refused here already."""
    _refuse(safety.why_never(access))
    if seconds <= 0 or clients < 1 or tenants < 1:
        raise WorkloadRefusedError(
            f"seconds={seconds}, clients={clients}, tenants={tenants} describe no work. Each must be 1 or more."
        )
    database = access.require_one_database()
    target = f"{access.identifier}/{database}"
    with access.connect() as connection:
        if not _is_loaded(connection):
            raise WorkloadRefusedError(
                f"database {database} does not hold the nine tables of sql/schema as they are there, so clients have nowhere to write. {_advice(access)}."
            )
        _refuse(safety.why_not_among(access, connection))
        seeded = is_seeded(connection)
        limit = int(connection.execute("SHOW max_connections").fetchone()[0]) // 2  # type: ignore[index]
    if clients > limit:
        raise WorkloadRefusedError(
            f"clients={clients} would take more than half of the {2 * limit} connections that the database has, and others need some. "
            f"Use at most {limit}."
        )
    undo = "restore to a time before (restore-drill shows how)"
    changes = [] if seeded else [Change(f"seed {tenants} tenants", target, "no tenants", f"{tenants} tenants", undo)]
    changes.append(Change(f"{clients} clients for {seconds} s", target, "", "more users, payments and webhooks", undo))
    return Plan(
        name="run-workload",
        account=access.session.account,
        region=access.session.region,
        parameters=access.parameters | {"seconds": seconds, "clients": clients, "tenants": tenants, "seed": seed},
        observed={"seeded": seeded},
        changes=changes,
    )


def _refuse(reason: str) -> None:
    if reason:
        raise WorkloadRefusedError(f"{reason}. Nothing was written.")


def apply(access: Access, plan: Plan, confirm: str) -> Load:
    """Seed if there are no tenants, then run the clients. On a live target only when `confirm` is the plan's id."""
    if not is_confirmed(plan, confirm, sandbox=access.session.is_sandbox):
        return Load(dry_run_line(plan))
    wanted = plan.parameters
    _refuse(safety.why_never(access))  # a plan can be built by hand
    if any(wanted.get(name, "") != access.parameters.get(name, "") for name in ("cluster", "database")):
        _refuse(f"the plan is for {wanted.get('cluster')}, and this is {access.identifier}: read a plan of this one")
    connect = partial(access.connector().connect, read_only=False)
    written = 0
    with connect() as connection:
        _refuse(safety.why_not_among(access, connection))
        if not plan.observed["seeded"]:
            written = sum(seed(connection, tenants=wanted["tenants"], seed=wanted["seed"]).values())
    load = run(connect, seconds=wanted["seconds"], clients=wanted["clients"], seed=wanted["seed"], progress=True)
    return replace(load, seeded_rows=written)


def verify(access: Access, load: Load) -> Report:
    """Whether the clients worked, and whether what they left behind satisfies every invariant."""
    if not load.clients:
        return Report("workload", (Check("transactions", "SKIP", "nothing was applied"),))
    applications = sorted({ROTA[number % len(ROTA)] for number in range(load.clients)})
    idle = [name for name in applications if next(iter(MIXES[name])).__name__ not in load.by_kind]
    share = load.failures / max(1, load.transactions + load.failures)
    failures = ", ".join(f"{number} {kind}" for kind, number in sorted(load.errors.items()))
    checks = (
        Check.of(
            "every application worked", not idle, ", ".join(applications) if not idle else f"idle: {', '.join(idle)}"
        ),
        Check.of("hardly any errors", share <= TOLERATED_ERRORS, failures if share > TOLERATED_ERRORS else ""),
    )
    with access.connect() as connection:
        return Report.combine("workload", (Report("clients", checks), schema.checks(connection)))


def clean_up(access: Access, *, wait_seconds: float = 5.0) -> Report:
    """Whether every client has gone. On a live target real applications may bear the same names, so nothing is judged there."""
    name = "no client is connected any more"
    if not access.session.is_sandbox:
        return Report("clean up", (Check(name, "SKIP", "applications of the same names may be real ones"),))
    statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = ANY(%s)"
    deadline = time.monotonic() + wait_seconds
    with access.connect() as connection:
        # A server process ends a moment after its client.
        while (
            left := (connection.execute(statement, (list(MIXES),)).fetchone() or (0,))[0]
        ) and time.monotonic() < deadline:
            time.sleep(0.1)
    return Report("clean up", (Check.of(name, not left, f"{left} left" if left else ""),))
