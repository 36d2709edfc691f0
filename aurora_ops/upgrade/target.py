"""Which version a cluster is to have, and what that asks of its parameter groups. Reads only."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check
from aurora_ops.core.engine import ENGINE, major, newest
from aurora_ops.core.errors import InputError

_DEFAULT = "default."


class UpgradeTargetError(InputError):
    """The cluster cannot have the version that was asked for. Nothing was changed."""


def meant(versions: list[str], asked: str, running: str) -> str:
    """The version that is meant: a version, a major's newest, or without a word the newest of the next major; empty where none is.

    >>> meant(["15.12", "16.9", "16.10", "17.5"], "", "15.10"), meant(["15.12", "17.5"], "17", "15.10"), meant(["15.12"], "", "15.10")
    ('16.10', '17.5', '')
    """
    if asked in versions:
        return asked
    later = [int(major(one)) for one in versions if int(major(one)) > int(major(running))]
    return newest(versions, asked or str(min(later, default="")))


@dataclass(frozen=True)
class Target:
    """The version, and the parameter groups that go with it; an empty group is the default of the new family."""

    version: str
    running: str
    cluster_group: str = ""
    instance_group: str = ""
    offered: dict[str, Any] = field(default_factory=dict, repr=False)  # as DescribeDBEngineVersions has it

    @property
    def is_major(self) -> bool:
        """Whether pg_upgrade runs: servers stop for minutes, statistics are lost."""
        return major(self.version) != major(self.running)

    @property
    def family(self) -> str:
        """Of the parameter groups."""
        return f"{ENGINE}{major(self.version)}"

    @property
    def arguments(self) -> dict[str, str]:
        """Of ModifyDBCluster: the groups of a new major, which AWS wants named where the present ones are custom."""
        named = {"DBClusterParameterGroupName": self.cluster_group, "DBInstanceParameterGroupName": self.instance_group}
        return {name: value for name, value in named.items() if value}


def resolve(session: Session, found: Cluster, asked: str, cluster_group: str = "", instance_group: str = "") -> Target:
    """What is asked for, among what AWS offers from here.

    Raises
    ------
    UpgradeTargetError
        AWS offers no such upgrade; the message has what it offers.
    """
    rds = session.client("rds")
    wanted = {"Engine": ENGINE, "EngineVersion": found.engine_version, "IncludeAll": True}
    running = next(api.items(rds, "describe_db_engine_versions", "DBEngineVersions", **wanted), {})
    targets = [one["EngineVersion"] for one in running.get("ValidUpgradeTarget", [])]
    version = meant(targets, asked.strip(), found.engine_version)
    if not version:
        what = f"to_version={asked!r}" if asked else "the next major version"
        raise UpgradeTargetError(
            f"{what} is no upgrade of {found.identifier}, which has {found.engine_version}, so nothing was changed. "
            f"AWS offers {', '.join(targets) or 'none'}."
        )
    offered = next(
        api.items(rds, "describe_db_engine_versions", "DBEngineVersions", Engine=ENGINE, EngineVersion=version), {}
    )
    return Target(version, found.engine_version, cluster_group.strip(), instance_group.strip(), offered)


def check(session: Session, found: Cluster, target: Target) -> Iterator[Check]:
    """Whether the version allows the cluster's range, and whether the groups that go with it are there and lose no setting."""
    support = target.offered.get("ServerlessV2FeaturesSupport")
    if found.ceiling_acu and support:
        low, high = support["MinCapacity"], support["MaxCapacity"]
        inside = low <= found.floor_acu and found.ceiling_acu <= high
        yield Check.of("the version allows the range", inside, f"{found.floor_acu:g} to {found.ceiling_acu:g} ACU, of {low:g} to {high:g}")  # fmt: skip
    elif found.ceiling_acu:
        yield Check("the version allows the range", "SKIP", f"AWS does not say what {target.version} allows")
    if not target.is_major:
        return
    rds = session.client("rds")
    yield _group(rds, "cluster", str(found.raw.get("DBClusterParameterGroup", "")), target.cluster_group, target)
    members = clusters.members(session, found.identifier)
    present = sorted({group["DBParameterGroupName"] for one in members for group in one.get("DBParameterGroups", [])})
    custom = [one for one in present if not one.startswith(_DEFAULT)]
    yield _group(rds, "instance", (custom or present or [""])[0], target.instance_group, target)


def _group(rds: Any, kind: str, present: str, wanted: str, target: Target) -> Check:
    """AWS refuses a major upgrade that does not name the successor of a custom group; a setting that the successor lacks is lost."""
    name, parameter = f"the {kind} parameter group has a successor", f"{kind}_parameter_group"
    if not wanted and present.startswith(_DEFAULT):
        return Check(name, "PASS", f"{_DEFAULT}{target.family}, as {present} before")
    own = _users(rds, kind, present)
    if not wanted:
        told = ", ".join(f"{one}={value}" for one, value in own.items()) or "nothing"
        return Check(name, "FAIL", f"{present} is custom (it sets {told}). Make one of family {target.family} and name it: -p {parameter} NAME")  # fmt: skip
    try:
        family = _family(rds, kind, wanted)
        new = _users(rds, kind, wanted)
    except ClientError as error:
        if not api.is_not_found(error):
            raise
        return Check(name, "FAIL", f"{wanted} does not exist. Make it, of family {target.family}")
    if family != target.family:
        return Check(name, "FAIL", f"{wanted} is of family {family}, and {target.version} needs {target.family}")
    lost = [f"{one}={value}" for one, value in own.items() if one not in new]
    changed = [f"{one}: {own[one]} -> {new[one]}" for one in own if one in new and own[one] != new[one]]
    said = "; ".join([*([f"not set any more: {', '.join(lost)}"] if lost else []), *([f"changed: {', '.join(changed)}"] if changed else [])])  # fmt: skip
    return Check(name, "PASS", f"{wanted}{f'; {said}' if said else ', with the same settings'}")


def _family(rds: Any, kind: str, name: str) -> str:
    if kind == "cluster":
        groups = rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName=name)["DBClusterParameterGroups"]
    else:
        groups = rds.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"]
    return str(groups[0]["DBParameterGroupFamily"])


def _users(rds: Any, kind: str, name: str) -> dict[str, str]:
    """What somebody set in a group."""
    if not name or name.startswith(_DEFAULT):
        return {}
    operation, argument = (
        ("describe_db_cluster_parameters", "DBClusterParameterGroupName")
        if kind == "cluster"
        else ("describe_db_parameters", "DBParameterGroupName")
    )
    found = api.items(rds, operation, "Parameters", Source="user", **{argument: name})
    return {str(one["ParameterName"]): str(one.get("ParameterValue", "")) for one in found}
