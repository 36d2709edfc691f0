"""What Aurora refuses and moto lets pass: versions, capacity ranges, restore times. Pure checks; the error is RDS's own."""

import re
from datetime import UTC, date, datetime
from typing import Any

from moto.rds.exceptions import InvalidParameterCombination, InvalidParameterValue, RDSClientError

from aurora_ops.billing import engine_support
from aurora_ops.capacity.acu import AcuRange, AcuRangeError
from aurora_ops.core.engine import ENGINE, EXTENDED_SUPPORT, NO_EXTENDED_SUPPORT, SERVERLESS_CLASS
from aurora_ops.sandbox.engine import DEFAULT_VERSION, ENGINE_VERSIONS, PROVISIONED_CLASSES

_IDENTIFIER = re.compile(r"[a-z](-?[a-z0-9])*")
_RESERVED_USERS = re.compile(r"(rds|pg_|admin$|public$|none$)")
_RESERVED_DATABASES = ("rdsadmin", "template0", "template1")


def check_identifier(identifier: str, parameter: str = "DBClusterIdentifier", longest: int = 63) -> str:
    """The identifier in lower case, as RDS keeps it: letters, digits and single hyphens, from a letter, at most `longest`.

    A snapshot's too: so no manual snapshot has a name that begins with rds:, as automated ones do.
    """
    name = identifier.lower()
    if not _IDENTIFIER.fullmatch(name) or len(name) > longest:  # moto: accepts
        raise InvalidParameterValue(
            f"The parameter {parameter} is not a valid identifier: {identifier}. Identifiers begin with a letter, "
            f"hold only letters, digits and single hyphens, and have at most {longest} characters."
        )
    return name


def check_names(master: str | None, database: str | None) -> None:
    """Refuse names that PostgreSQL or RDS reserve."""
    if master and _RESERVED_USERS.match(master.lower()):  # moto: accepts
        raise InvalidParameterValue(
            f"MasterUsername {master} cannot be used as it is a reserved word used by the engine"
        )
    if database and database.lower() in _RESERVED_DATABASES:
        raise InvalidParameterValue(f"DatabaseName {database} cannot be used: it is a reserved word for this engine")


def check_version(version: str | None) -> str:
    """The version to create: the default without one, the newest minor for a major alone."""
    if version in (None, ""):
        return DEFAULT_VERSION
    if version in ENGINE_VERSIONS:
        return str(version)
    newest = [known for known in ENGINE_VERSIONS if known.split(".")[0] == version]
    if newest:  # a major version alone means its newest minor
        return newest[-1]
    raise InvalidParameterCombination(f"Cannot find version {version} for {ENGINE}")  # moto: accepts


def check_later_version(wanted: str | None, snapshot: str) -> str:
    """The version to restore a snapshot with: its own without one, otherwise that minor or a later one of the same major."""
    version = check_version(wanted) if wanted else snapshot
    (major, minor), (own_major, own_minor) = (tuple(map(int, one.split("."))) for one in (version, snapshot))
    if (major, minor) < (own_major, own_minor):  # moto: restores with whatever version
        raise InvalidParameterCombination(
            f"The engine version you requested for your restored DB cluster ({version}) is earlier than the engine version of "
            f"the DB cluster snapshot ({snapshot})."
        )
    if major != own_major:
        raise InvalidParameterCombination(f"Cannot find upgrade path from {snapshot} to {version}.")
    return version


def check_lifecycle(lifecycle: Any, version: str, on: date | None = None) -> str:
    """The life cycle type: AWS's default without one. On a day given, also whether a cluster of the version is created with it.

    Without Extended Support no cluster is created whose major version has left standard support. The codes and words are not documented.
    """
    found = str(lifecycle or EXTENDED_SUPPORT)
    if found not in (EXTENDED_SUPPORT, NO_EXTENDED_SUPPORT):  # moto: anything
        raise InvalidParameterValue(
            f"Invalid EngineLifecycleSupport: {found}. Valid values: {EXTENDED_SUPPORT}, {NO_EXTENDED_SUPPORT}."
        )
    until = engine_support.standard_until(version)
    if found == NO_EXTENDED_SUPPORT and on and until and on > until:
        raise InvalidParameterCombination(
            f"Engine version {version} is past its end of standard support date {until}, and EngineLifecycleSupport is {found}."
        )
    return found


def check_retention(days: Any) -> int:
    """The backup retention period in days: 1 without one. Aurora's backups cannot be turned off."""
    if not 1 <= int(days if days is not None else 1) <= 35:  # moto: anything
        raise InvalidParameterValue(f"Invalid backup retention period: {days}. Must be between 1 and 35.")
    return int(days if days is not None else 1)


def check_scaling(scaling: dict[str, Any] | None, version: str) -> AcuRange | None:
    """The range that a ServerlessV2ScalingConfiguration asks for; None without one."""
    if not scaling:
        return None
    try:
        acu_range = AcuRange(float(scaling["MinCapacity"]), float(scaling["MaxCapacity"]))
        acu_range.check_engine(version)
    except KeyError as missing:
        raise InvalidParameterCombination(f"ServerlessV2ScalingConfiguration needs {missing.args[0]}") from None
    except AcuRangeError as error:  # moto: accepts
        raise InvalidParameterValue(f"Invalid ServerlessV2ScalingConfiguration: {error}") from None
    return acu_range


def check_class(instance_class: Any, scaling: dict[str, Any] | None) -> str:
    """The class of an instance, if its cluster can have one of it."""
    if instance_class in PROVISIONED_CLASSES:
        return str(instance_class)
    if instance_class != SERVERLESS_CLASS:
        raise InvalidParameterValue(
            f"Invalid DB Instance class: {instance_class} (this sandbox runs {', '.join([SERVERLESS_CLASS, *PROVISIONED_CLASSES])})"
        )
    if not scaling:  # moto: accepts
        raise InvalidParameterCombination(
            "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless v2 DB instance."
        )
    return SERVERLESS_CLASS


PAUSE_SECONDS = range(300, 86_401)


def complete_scaling(scaling: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    """A ServerlessV2ScalingConfiguration with what was set before, and the seconds until it pauses if it can.

    The interval goes with a floor over 0, as AWS documents. The error and its words were seen by users (anomalyco/sst#5276).
    """
    merged = (before or {}) | scaling
    if merged.get("MinCapacity") != 0:
        if scaling.get("SecondsUntilAutoPause") is not None:  # moto: accepts
            raise InvalidParameterValue("SecondsUntilAutoPause can only be specified when minimum capacity is 0.")
        return {name: value for name, value in merged.items() if name != "SecondsUntilAutoPause"}
    seconds = merged.get("SecondsUntilAutoPause")
    seconds = PAUSE_SECONDS[0] if seconds is None else int(seconds)
    if seconds not in PAUSE_SECONDS:  # moto: accepts. Which words AWS uses is not documented
        raise InvalidParameterValue(
            f"Invalid SecondsUntilAutoPause: {seconds}. Must be between {PAUSE_SECONDS[0]} and {PAUSE_SECONDS[-1]}."
        )
    return merged | {"SecondsUntilAutoPause": seconds}


def check_restore_point(
    identifier: str, window: tuple[datetime | None, datetime | None], restore_point: datetime | None
) -> datetime:
    """The restore point: the one given if it lies in the window from earliest to latest, the latest without one. Never rounded."""
    earliest, latest = window
    if earliest is None or latest is None:
        raise RDSClientError("InvalidDBClusterStateFault", f"DB cluster {identifier} has no backup yet")
    if restore_point is None:
        return latest
    at = restore_point if restore_point.tzinfo else restore_point.replace(tzinfo=UTC)
    if not earliest <= at <= latest:  # moto: accepts the future and 1000 days ago
        raise InvalidParameterValue(
            f"The specified time {at.isoformat()} is outside the restorable window of {identifier}: "
            f"{earliest.isoformat()} to {latest.isoformat()}"
        )
    return at
