"""What the cells of a notebook import: one line, whichever module a name belongs to.

Each name is looked up when it is first asked for, so a notebook loads what it uses and nothing else.
"""

import ast
import json
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from aurora_ops.aws.access import Access
    from aurora_ops.aws.session import Session

_MODULES = {
    "acu_range": "deploy.acu_range",
    "alarms": "diagnose.alarms.procedure",
    "baselines": "restore.baseline.recording",
    "blocking": "diagnose.blocking",
    "compare_load": "diagnose.comparison",
    "connection": "diagnose.connection.procedure",
    "cost_bands": "cost.bands",
    "cost_charts": "cost.plan_charts",
    "cost_exports": "cost.exports",
    "cost_views": "cost.plan_tables",
    "deploy": "deploy.deployment",
    "destroy": "deploy.destruction",
    "diagnose": "diagnose.database_load",
    "drift": "deploy.drift",
    "ending": "diagnose.ending",
    "evidence": "runner.evidence",
    "failover": "failover.procedure",
    "fleet": "fleet.study.procedure",
    "history_study": "cost.studies.history_study",
    "option_study": "cost.studies.option_study",
    "parameters": "runner.parameters",
    "plan_study": "cost.studies.plan_study",
    "planning": "cost.plan",
    "point_in_time": "restore.point_in_time",
    "range_study": "cost.studies.range_study",
    "reconciliation": "cost.studies.reconciliation",
    "reader": "failover.reader",
    "restore": "restore.drill",
    "restore_evidence": "restore.evidence.finish",
    "restore_missing": "restore.evidence.missing",
    "restore_sweeper": "restore.sweeper",
    "schema": "schema.procedure",
    "staging": "rehearsal.staging",
    "upgrade": "upgrade.procedure",
    "verification": "restore.verification.procedure",
    "workload": "workload.procedure",
}
_TYPES = (
    "Acu", "Day", "Days", "DestroyableEnvironment", "Discount", "Duration", "Environment", "File", "Folder", "IdleAcu", "NewFolder", "NotNegative", "Positive", "Prices", "Region", "RestoreTime", "Seconds", "Source", "Timezone", "Usd", "UtcTime", "WayToEnd",
)  # fmt: skip

__all__ = sorted([*_MODULES, *_TYPES, "in_world", "open_cluster", "open_session"])


def open_session(target: str, region: str, *, world: str = "empty", environment: str = "dev") -> "Session":
    """Open a read-only session; in the sandbox, what is missing of `world` is built first (see `rehearsal.worlds.open_world`).

    A live target is taken as it is.
    """
    from aurora_ops.aws import session

    if target == session.SANDBOX:
        from aurora_ops.rehearsal import worlds

        return worlds.open_world(world, environment, region)
    return session.open_session(target, region)


def open_cluster(
    target: str,
    region: str,
    *,
    world: str = "empty",
    environment: str = "dev",
    cluster: str = "",
    database: str = "",
    login: str = "",
    may_be_gone: bool = False,
    without_instances: bool = False,
) -> "Access":
    """The cluster that a page works on (see `aws.access.open_access`), in a session opened as by `open_session`.

    A cluster that is named is there already, or was: nothing is built for it.
    """
    from aurora_ops.aws.access import open_access, open_by_name

    session = in_world(world, environment, cluster)(target, region)
    if may_be_gone:
        return open_by_name(session, environment, cluster, login)
    return open_access(session, environment, cluster, database, login, without_instances=without_instances)


def in_world(world: str, environment: str, cluster: str = "", **_how: str) -> "Callable[[str, str], Session]":
    """`open_session` for this world, for a page that may not need one. A cluster that is named is there already: no world.

    Takes what names a cluster everywhere; its database and the login matter only to those who connect.
    """
    return partial(open_session, world="empty" if cluster else world, environment=environment)


def modules(page: str = "") -> list[str]:
    """What cells make a kernel import, those of one page or of all: for a process that has it before it forks kernels.

    Of one page what its imports name; what a call needs later stays for the call. A page that cannot be read, or is none, has nothing.
    """
    opens = ("aws.access", "rehearsal.worlds")
    if not page:
        return [f"aurora_ops.{name}" for name in (*_MODULES.values(), *opens, "capacity.kernel")]
    named = _imported_by(page)
    found = [
        *(_MODULES[name] for name in _MODULES if name in named),
        *(opens if any(name.startswith("open_") for name in named) else ()),
    ]
    return [f"aurora_ops.{name}" for name in found]


def _imported_by(page: str) -> set[str]:
    """The names that the cells of a page take from here, read as text: whoever asks has not imported nbformat yet."""
    from aurora_ops.core.errors import InputError
    from aurora_ops.runner import collection

    try:
        cells = json.loads(collection.find(page).path.read_text(encoding="utf-8"))["cells"]
        tree = ast.parse("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))
    except (InputError, OSError, SyntaxError, ValueError, KeyError, TypeError):
        return set()
    lines = [one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom) and one.module == __name__]
    return {name.name for line in lines for name in line.names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"aurora_ops.{_MODULES[name]}")
    if name in _TYPES:
        return getattr(import_module("aurora_ops.runner.parameter_types"), name)
    raise AttributeError(f"aurora_ops.notebook has no {name!r}. It has: {', '.join(__all__)}.")
