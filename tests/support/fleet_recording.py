"""Makes the packaged recording of a fleet: `PYTHONPATH=tests/support python -m fleet_recording FOLDER`.

The fleet commands run over the sandbox's fleet of 240 clusters, as a person would type them; nothing is drawn. A fifth account refuses, one
backup is damaged, and the dozen with PostgreSQL has load while its load is asked for. What stands in FOLDER already is not run again.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from aurora_ops.aws import cluster, login
from aurora_ops.aws.session import Session, sandbox_session
from aurora_ops.fleet.study import gathered
from aurora_ops.rehearsal import fleets, foreign
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.faults import Faults

SIZES = fleets.Sizes()
REFUSES = "acquired"  # an account whose role was not set up
SERVED = "tag:aurora-ops:sandbox-servers="  # no such tag: those with PostgreSQL
DAMAGED = 7  # of those: whose backup has a bad page; one of `insight`
MINUTES = 3
DRILLED = ("run", "restore-drill", "--filter", SERVED, "--budget-usd", "15", "-p", "max_cost_usd=5")
# What is asked, and with which words. Drills stand between: an account at a time, so that proofs have different
# ages; the damaged backup's at once, for a later drill restores from a newer backup. Load comes last.
ASKED = (
    ("restore-drill", (*DRILLED, "--filter", "account=insight")),
    ("versions", ()),
    ("drift", ("run", "drift", "--filter", SERVED)),
    ("restore-drill", (*DRILLED, "--filter", "account=logistics")),
    ("cost-per-environment", ("run", "cost-per-environment")),
    ("restore-drill", (*DRILLED, "--filter", "account=payments")),
    ("acu-range-what-if", ("run", "acu-range-what-if", "--filter", "tag:stage=dev")),  # six seconds of a processor each
    ("restore-drill", (*DRILLED, "--filter", "account=platform")),
    ("database-load", ("run", "database-load", "--filter", SERVED, "-p", "source=live", "-p", f"minutes={MINUTES}")),
)
_JOIN = "SELECT count(*) FROM orders AS a JOIN orders AS b USING (customer) JOIN orders AS c USING (customer)"  # a tenth of a second of a processor
_SUM = "SELECT sum(length(customer)) FROM orders"
# What holds a row for a second, and makes whoever wants it wait.
_HOLD = "WITH held AS (UPDATE orders SET customer = customer WHERE id = 1 RETURNING 1) SELECT pg_sleep(1) FROM held"
# Sessions of the served clusters, by turn: statement, pause between two in seconds, seconds until it begins. The others are idle.
LOADS = (
    [(_HOLD, 0.2, 0.0)] * 4,  # they queue for one row
    [(_JOIN, 0.1, 0.0)] * 2,  # they compute
    [(_JOIN, 1.0, 20.0 * one) for one in range(12)],  # ever more
    [(_JOIN, 2.0, 0.0)],
    [(_SUM, 0.02, 0.0), (_HOLD, 3.0, 0.0)],
    [(_SUM, 0.1, 0.0)],
    [(_JOIN, 5.0, 0.0)],
    [(_HOLD, 5.0, 0.0)],
    [(_SUM, 1.0, 60.0)],
)


def served(prefix: str) -> Iterator[tuple[Session, str, str]]:
    """The clusters with databases: the session of their account, their name, and their account."""
    planned = [(account, one) for account, all_ in fleets.plan(SIZES).items() for one in all_ if one.has_servers]
    for account, one in sorted(planned, key=lambda each: each[1].name[-3:]):
        running = lifecycle.start(fleets.sandbox_of(prefix, account))
        yield sandbox_session(running, one.region), one.name, account


def build(prefix: str, description: Path) -> None:
    """The fleet, an account that refuses, and a backup with a bad page."""
    text = fleets.build(prefix, SIZES)
    refuses = f"{prefix}-{REFUSES}-544444444445"
    Faults(lifecycle.start(refuses)).fail("DescribeDBClusters", "AccessDenied", 10**6, status=403)
    description.write_text(f'{text}\n[[accounts]]\nname = "{REFUSES}"\nsandbox = "{refuses}"\n', encoding="utf-8")
    damage(prefix)


def damage(prefix: str) -> None:
    """A bad page in the newest backup of one cluster."""
    session, name, account = list(served(prefix))[DAMAGED - 1]
    faults = Faults(lifecycle.start(fleets.sandbox_of(prefix, account)))
    faults.back_up(name)
    kept = foreign.client(session, "rds").describe_db_cluster_snapshots(DBClusterIdentifier=name)["DBClusterSnapshots"]
    newest = max(kept, key=lambda one: one["SnapshotCreateTime"])["DBClusterSnapshotIdentifier"]
    faults.corrupt_page(name, "orders", "public.orders", snapshot=newest)


def _work(session: Session, name: str, statement: str, pause: float, after: float, over: threading.Event) -> None:
    if over.wait(after):
        return
    with login.connect(session, cluster.find(session, name), read_only=False) as connection:
        connection.autocommit = True
        while not over.wait(pause):
            connection.execute(statement.encode())


@contextmanager
def loaded(prefix: str) -> Iterator[None]:
    """Within it the served clusters have their load."""
    over = threading.Event()
    threads = [
        threading.Thread(target=_work, args=(session, name, *one, over))
        for (session, name, _), sessions in zip(served(prefix), LOADS, strict=False)
        for one in sessions
    ]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in threads:
            one.join()


def ask(folder: Path, description: Path, page: str, words: Sequence[str], before: int) -> None:
    """One of the commands, unless its report stands there beside those of as many commands of its page before it."""
    if len([*folder.glob(f"*_fleet_{page}/index.html")]) > before:
        click.echo(f"{page}: it stands there")
        return
    command = [sys.executable, "-m", "aurora_ops", "fleet", *(words or (page,))]
    began = time.monotonic()
    done = subprocess.run([*command, "--fleet", str(description), "--output-dir", str(folder)], capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{' '.join(command[3:])} ended with {done.returncode}: {done.stderr or done.stdout[-500:]}")
    click.echo(f"{page}, {time.monotonic() - began:.0f} s: {done.stdout.splitlines()[-3:]}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", default="recorded-fleet", help="What the names of its sandboxes begin with.")
def main(folder: Path, name: str) -> None:
    """Run what is asked of the fleet into FOLDER, and write the recording from it."""
    folder.mkdir(parents=True, exist_ok=True)
    description = folder / "fleet.toml"
    if not description.exists():
        build(name, description)
    for number, (page, words) in enumerate(ASKED):
        before = [one for one, _ in ASKED[:number]].count(page)
        if page == gathered.LOAD:
            with loaded(name):
                time.sleep(60 * MINUTES)
                ask(folder, description, page, words, before)
        else:
            ask(folder, description, page, words, before)
    path = gathered.gather(folder).write(gathered.RECORDING)
    click.echo(f"{path.name}: {path.stat().st_size:,} bytes. Now: aurora-ops notebooks refresh fleet, then aurora-ops sandbox fleet --name {name} --remove")  # fmt: skip


if __name__ == "__main__":
    main()
