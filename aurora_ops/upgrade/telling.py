"""What the upgrade's page tells beside what it does: warnings of its plan, what Terraform must be told, what is left to do, and its headline."""

from collections.abc import Iterable, Iterator, Sequence

from aurora_ops.aws.session import Session
from aurora_ops.billing import engine_support
from aurora_ops.core.display import Check, Table
from aurora_ops.core.times import today
from aurora_ops.upgrade.target import Target


def warnings(target: Target, lifecycle: str, identifier: str, environment: str, *, rehearsed: bool) -> Iterator[str]:
    """Advice of the plan. `lifecycle` is the cluster's, `environment` is empty where Terraform of ours did not build it."""
    if target.is_major:
        yield "every connection ends, and nothing answers until pg_upgrade is done; the rehearsal tells how long that was on the copy."
        yield "the planner has no statistics until ANALYZE, which `apply` runs at once; queries are slow until then."
    if not rehearsed:
        yield "it was not rehearsed in this run."
    if environment:
        yield f"Terraform built {identifier}: the table of what it must be told comes first."
    if told := engine_support.warning(target.version, today(), lifecycle):
        yield f"{told}."


def terraform(target: Target, environment: str) -> Table:
    """What Terraform has to be told, so that its next apply does not ask for the old version."""
    folder, wanted = f"terraform/environments/{environment}/terraform.tfvars.json", target.version
    where = folder if environment else "aws_rds_cluster"
    rows = [
        ("this page upgrades", f'"engine_version": "{wanted}" in {where}', "its next plan names no version; parameter groups of the new family are made by it where the module makes groups"),
        ("Terraform upgrades", f'"engine_version": "{wanted}", "allow_major_version_upgrade": true, "apply_immediately": true in {where}', "deploy-environment shows the plan and applies it; then run ANALYZE, and take the two flags back"),
    ]  # fmt: skip
    note = "Rehearse here in both cases. A state with the old version asks for a downgrade at its next apply, which AWS refuses."
    return Table("What Terraform must be told", ("if", "write", "then"), rows, note)


def headline(target: Target, identifier: str, plan: str, by: str, server: Check, served: int) -> str:
    """What was done, and no more than was seen of it: `server` says whether one of the new version answers."""
    if server.verdict == "PASS":
        return f"UPGRADED {plan} ({by}): {identifier} from {target.running} to {target.version}"
    return (
        f"UPGRADED {plan} ({by}) at the API only: {identifier} is called {target.version} in place of {target.running}, and a server of "
        f"PostgreSQL {served // 10000} answers as before; an upgraded server was not seen"
    )


def left_to_do(session: Session, identifier: str, extensions: Iterable[str]) -> Table:
    """By hand: the extensions that are behind, the way back, what to watch."""
    rows: Sequence[tuple[str, str, str]] = [
        ("update an extension", command, "its own version stays behind the server's until then")
        for command in extensions
    ]
    found = session.client("rds").describe_db_cluster_snapshots(DBClusterIdentifier=identifier)["DBClusterSnapshots"]
    names = [one["DBClusterSnapshotIdentifier"] for one in found]
    before = [name for name in names if name.startswith("preupgrade-")]
    way = (
        f"aws rds restore-db-cluster-from-snapshot --snapshot-identifier {before[-1]} --engine aurora-postgresql --db-cluster-identifier NAME"
        if before
        else "restore-to-point-in-time, to a second before the upgrade"
    )
    back = "a new cluster of the old version, without what was written since; there is no other way"
    watch = "plans that became slower show as time per call"
    rows = [*rows, ("go back", way, back), ("watch", "compare-database-load, before and after", watch)]
    return Table("What is left to do", ("to", "command or page", "why"), rows)
