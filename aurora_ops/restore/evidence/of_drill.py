"""What a drill keeps as evidence, step by step: its checks, and what it asked meanwhile."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from aurora_ops.core.display import Report, usd
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.database import asked
from aurora_ops.restore.evidence import proved
from aurora_ops.restore.evidence.proved import Proved
from aurora_ops.runner import evidence

if TYPE_CHECKING:
    from aurora_ops.restore.drill import Drill

Step = TypeVar("Step", bound=Callable[..., Any])
PREFLIGHT, CONTENT, CLUSTER, SCHEMA = "preflight", "restored content", "restored cluster", "schema and rules"
_LIMITS = (
    "A difference that PostgreSQL's own equality does not see (1.0 and 1.00) is none.",
    "Rows that changed at the source after the restore point are counted as not proved: what they were is no longer known.",
    "Passwords, planner statistics, indexes other than btree, and what is inside a parameter group of the same name are not compared.",
    "Rows of UNLOGGED, foreign and temporary tables are in no backup.",
)


def kept(part: str) -> Callable[[Step], Step]:
    """A step of a drill whose report, and whose statements, are kept under this name."""

    def around(step: Step) -> Step:
        @wraps(step)
        def run(drill: "Drill", *args: Any) -> Any:
            with asked.during(part):
                result = step(drill, *args)
            if drill.kept is None:
                drill.kept = _begin(drill)
            if isinstance(result, Report):
                drill.kept.add(part, result)
            _update(drill, drill.kept)
            drill.kept.save(drill.session)
            return result

        return run  # type: ignore[return-value]

    return around


def _begin(drill: "Drill") -> Proved:
    source = drill.source
    if source is None:
        raise AuroraOpsError(
            "a drill keeps nothing before its preflight has described the source. Run preflight() first."
        )
    versions = evidence.versions()
    facts = {
        "cluster": source.identifier, "cluster ARN": source.arn, "resource id": str(source.raw.get("DbClusterResourceId", "")),
        "storage": str(source.raw.get("StorageType", "aurora")), "databases": ", ".join(drill.proof.databases),
        "depth": drill.limits.sample.depth, "copy": drill.identifier, "engine version": source.engine_version,
        "compared with": ", ".join(f"{name} {versions[name]}" for name in ("aurora-ops", "python", "boto3", "psycopg") if name in versions),
        "commit of aurora-ops": evidence.commit() or "",
    }  # fmt: skip
    begun = proved.begin(
        drill.session,
        "restore-drill",
        source.identifier,
        expected=(CONTENT, CLUSTER, SCHEMA),
        facts=facts,
        limits=_LIMITS,
    )
    begun.rehearsal = drill.note
    begun.hosts = {f"{host}:{source.port}": "source" for host in (source.endpoint, source.reader_endpoint)}
    return begun


def _update(drill: "Drill", found: Proved) -> None:
    found.figures = drill.timing.figures()
    found.facts["rows"] = str(drill.proof.read)
    times = {
        "restore point asked for": drill.asked_how or f"{drill.asked_point or drill.note or 'none: the drill sets its own, between two marks'}",
        "restore point": f"{drill.restore_point:%F %T}Z" if drill.restore_point else "",
        **drill.marks,
    }  # fmt: skip
    found.times |= {name: at for name, at in times.items() if at}
    cost = drill.cost
    found.cost = {
        "limit (max_cost_usd)": f"${drill.max_cost_usd:,.2f}",
        "expected": cost.check(drill.max_cost_usd).detail,
        "until the copy expires": f"${cost.until_expired_usd:,.2f}",
        **{line.name: f"{line.quantity:,.4g} {line.unit}, {usd(line.usd)}" for line in cost.estimate.items},
    }
