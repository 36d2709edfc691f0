"""The sandbox worlds that notebooks start from: empty, deployed, loaded, busy, restored, applied, drifted.

A notebook names the world that it needs. Where the sandbox has an account already, what is missing is built in it, and nothing when
an earlier runbook did the work. A private sandbox begins as a copy of a world that was built once and cached. A live target is taken
as it is.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path

from aurora_ops.aws import build_environment, changes, cluster, inventory
from aurora_ops.aws.access import open_access
from aurora_ops.aws.cluster import ClusterNotFoundError
from aurora_ops.aws.session import DEFAULT_REGION, SANDBOX, Session, open_session, sandbox_session
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core import waiting
from aurora_ops.core.environments import Settings, settings
from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.deploy import deployment as deploy
from aurora_ops.restore import point_in_time
from aurora_ops.sandbox.client import lifecycle, state
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.schema import loader
from aurora_ops.terraform import state as terraform_state
from aurora_ops.workload import clients
from aurora_ops.workload import procedure as workload

SEED = 20251212
TENANTS = 200
BUSY_SECONDS, BUSY_CLIENTS = 60, 8
_RESTORABLE_SECONDS = 300
BUSY_WITHIN = timedelta(minutes=15)


def open_world(world: str = "empty", environment: str = "dev", region: str = DEFAULT_REGION) -> Session:
    """Open a session on the sandbox, and build first what is missing of `world` for `environment`.

    Parameters
    ----------
    world
        "empty": nothing is built. "deployed": the environment stands. "loaded": its schema is there, with some months of a
        small business in it. "busy": clients have been at work on it for a minute, just now. "restored": as "loaded", with a
        copy of it beside it, of the second in which it was loaded. "applied": the environment stands, and Terraform's state
        knows it. "drifted": as "applied", then changed by hand; an account in which Terraform was at work is left as it is.
    """
    if world not in _WORLDS:
        raise InputError(f"world={world!r} is unknown. {did_you_mean(world, list(_WORLDS))}")
    wanted = settings(environment)
    name = lifecycle.name_in_use()
    if region == DEFAULT_REGION and lifecycle.is_private(name) and not lifecycle.exists(name):
        start(name, world, environment)
    session = open_session(SANDBOX, region)
    session.state_directory.mkdir(parents=True, exist_ok=True)
    with (session.state_directory / "world.lock").open("w") as lock:  # two notebooks at once build it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        for build in _WORLDS[world]:
            build(session, wanted)
    return session


def start(name: str, world: str, environment: str = "dev") -> state.State:
    """Start a new sandbox as a copy of a world, which is built first if it is not cached: a minute for "busy", else seconds.

    The copy has addresses of its own, so several run beside each other and beside their origin. What was sampled and measured in
    it is moved up to now; what stands in the database is as old as the world.
    """
    return lifecycle.start(name, origin=_put_by(world, environment) if _WORLDS[world] else None)


def _put_by(world: str, environment: str) -> Path:
    """The folder of a stopped sandbox that holds the world, as this version of the package builds it."""
    folder = state.passable(state.root_directory() / "worlds")
    kind = f"{world}-{environment}-"
    home = folder / f"{kind}{_version()}"
    with (folder / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            for older in folder.glob(f"{kind}*-*"):
                shutil.rmtree(older, ignore_errors=True)
            builder = f"world-{home.name}"
            try:
                lifecycle.remove(builder)
                below, builds = _ON_TOP.get(world, ("", _WORLDS[world]))
                origin = _put_by(below, environment) if below else None
                session = sandbox_session(lifecycle.start(builder, origin=origin), DEFAULT_REGION)
                with redirect_stdout(StringIO()):  # whoever gets a copy must not be shown how it was made
                    for build in builds:
                        build(session, settings(environment))
                lifecycle.stop(builder)
                state.sandbox_directory(builder).rename(home)
            finally:
                lifecycle.remove(builder)
    return home


@cache
def _version() -> str:
    """Of everything that a world is made of: this package's code, its SQL, and PostgreSQL."""
    package = Path(__file__).parents[1]
    found = hashlib.sha256(programs.find().describe().encode())
    for path in sorted([*package.rglob("*.py"), *package.parent.glob("sql/**/*.sql"), *package.rglob("*.toml")]):
        found.update(path.read_bytes())
    return f"{found.hexdigest()[:12]}-{state.FORMAT}"


def _deploy(session: Session, wanted: Settings) -> None:
    try:
        there = {instance.identifier for instance in cluster.find(session, wanted.cluster_identifier).instances}
    except ClusterNotFoundError:
        there = set()
    if not there:  # nothing yet, or an attempt that was interrupted; what is there stays
        build_environment.build_environment(session, wanted)


def _load(session: Session, wanted: Settings) -> None:
    with cluster.connect(session, wanted, read_only=False) as connection:
        loader.load(connection)
        if not connection.execute("SELECT EXISTS (SELECT FROM public.tenants)").fetchone()[0]:  # type: ignore[index]
            workload.seed(connection, tenants=TENANTS, seed=SEED)


def _work(session: Session, wanted: Settings) -> None:
    now = datetime.now(UTC)
    writer = cluster.find(session, wanted.cluster_identifier).writer
    found = session.client("pi").describe_dimension_keys(
        ServiceType="RDS", Identifier=writer.resource_id, StartTime=now - BUSY_WITHIN, EndTime=now, Metric="db.load.avg",
        GroupBy={"Group": "db.application"},
    )["Keys"]  # fmt: skip
    if not any(one["Dimensions"]["db.application.name"] in clients.ROTA for one in found):
        workload.run(
            lambda: cluster.connect(session, wanted, read_only=False), seconds=BUSY_SECONDS, clients=BUSY_CLIENTS
        )


def _restore(session: Session, wanted: Settings) -> None:
    source = wanted.cluster_identifier
    if any(one.tags.get(point_in_time.FROM) == source for one in inventory.clusters(session)):
        return
    # The next second, so that all that was loaded is before it.
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)

    def is_restorable() -> bool:
        latest = cluster.find(session, source).latest_restorable_utc
        return bool(latest and latest > moment)

    waiting.wait_until(f"{moment:%F %T}Z restorable", is_restorable, _RESTORABLE_SECONDS)
    point_in_time.restore(open_access(session, wanted.environment), restore_to=f"{moment:%FT%TZ}").apply()


def _apply(session: Session, wanted: Settings) -> None:
    """Through Terraform, once: an account in which it was at work is left as it is, also after a destroy that was cut off."""
    deployment = deploy.deployment(session, wanted.environment)
    if not deployment.has_terraform:
        _deploy(session, wanted)
    elif not terraform_state.exists(session, terraform_state.place(session, wanted)):
        deployment.prerequisites()
        deployment.plan()
        deployment.apply()


def _drift(session: Session, wanted: Settings) -> None:
    if not terraform_state.exists(session, terraform_state.place(session, wanted)):
        _apply(session, wanted)
        _change_by_hand(session, wanted)


def _change_by_hand(session: Session, wanted: Settings) -> None:
    """What well-meaning people do on a console: a higher ceiling, and a reader that no code knows."""
    found = cluster.find(session, wanted.cluster_identifier)
    if not terraform_state.exists(session, terraform_state.place(session, wanted)):
        return  # without Terraform there is no state to differ from
    higher = AcuRange(wanted.min_capacity, 2 * wanted.max_capacity)
    changes.set_acu_range(session, found.identifier, higher)
    changes.wait_for_acu_range(session, found.identifier, higher)
    by_hand = f"{wanted.name}-reader-by-hand"
    changes.add_instance(session, found.identifier, by_hand, tags={})
    changes.wait_for_instance(session, by_hand)


_WORLDS: dict[str, tuple[Callable[[Session, Settings], None], ...]] = {
    "empty": (),
    "deployed": (_deploy,),
    "loaded": (_deploy, _load),
    "busy": (_deploy, _load, _work),
    "restored": (_deploy, _load, _restore),
    "applied": (_apply,),
    "drifted": (_drift,),
}
# Built on a copy of another world: that one waits for Terraform's provider, once for both.
_ON_TOP: dict[str, tuple[str, tuple[Callable[[Session, Settings], None], ...]]] = {
    "drifted": ("applied", (_change_by_hand,))
}
