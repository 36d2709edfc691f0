"""The sandbox worlds that notebooks start from: empty, deployed, loaded.

A notebook names the world that it needs. On a fresh sandbox that is built in seconds; on one where an earlier runbook did the
work, nothing is left to do. A live target is taken as it is.
"""

import fcntl
from collections.abc import Callable

from aurora_ops import changes, cluster, schema, workload
from aurora_ops.cluster import ClusterNotFoundError
from aurora_ops.environments import Settings, settings
from aurora_ops.errors import InputError, did_you_mean
from aurora_ops.session import DEFAULT_REGION, SANDBOX, Session
from aurora_ops.session import open_session as open_plain

SEED = 20251212
TENANTS = 200


def open_session(
    target: str = SANDBOX, region: str = DEFAULT_REGION, *, world: str = "empty", environment: str = "dev"
) -> Session:
    """Open a session; in the sandbox, build first what is missing of `world` for `environment`.

    Parameters
    ----------
    world
        "empty": nothing is built. "deployed": the environment stands. "loaded": its schema is there, with some months of a
        small business in it.
    """
    if world not in _WORLDS:
        raise InputError(f"world={world!r} is unknown. {did_you_mean(world, list(_WORLDS))}")
    wanted = settings(environment)
    session = open_plain(target, region)
    if session.is_sandbox:
        session.state_directory.mkdir(parents=True, exist_ok=True)
        with (session.state_directory / "world.lock").open("w") as lock:  # two notebooks at once build it once
            fcntl.flock(lock, fcntl.LOCK_EX)
            for build in _WORLDS[world]:
                build(session, wanted)
    return session


def _deploy(session: Session, wanted: Settings) -> None:
    try:
        there = {instance.identifier for instance in cluster.find(session, wanted.cluster_identifier).instances}
    except ClusterNotFoundError:
        there = set()
    if not there:  # nothing yet, or an attempt that was interrupted; what is there stays
        changes.build_environment(session, wanted)


def _load(session: Session, wanted: Settings) -> None:
    with cluster.connect(session, wanted, read_only=False) as connection:
        schema.load(connection)
        if not connection.execute("SELECT EXISTS (SELECT FROM public.tenants)").fetchone()[0]:  # type: ignore[index]
            workload.seed(connection, tenants=TENANTS, seed=SEED)


_WORLDS: dict[str, tuple[Callable[[Session, Settings], None], ...]] = {
    "empty": (),
    "deployed": (_deploy,),
    "loaded": (_deploy, _load),
}
