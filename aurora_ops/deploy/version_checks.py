"""Whether the engine version and the Insights mode that the file asks for can be had: new, or from what runs. Reads only."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.api import code_of
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.billing import engine_support
from aurora_ops.core.display import Check
from aurora_ops.core.engine import (
    ENGINE,
    EXTENDED_SUPPORT,
    NO_EXTENDED_SUPPORT,
    SERVERLESS_CLASS,
    major,
    newest,
)
from aurora_ops.core.environments import Settings
from aurora_ops.core.times import today
from aurora_ops.deploy.checks import skip_if_denied

# The first provider that names the key when it changes the mode: hashicorp/terraform-provider-aws#43942.
NAMES_THE_KEY = (6, 10)
ADVANCED_DAYS = 465


@skip_if_denied("the version can be had")
def version(session: Session, settings: Settings, there: Cluster | None) -> Iterator[Check]:
    """Whether the engine version can be had here, new or as an upgrade, and allows the capacity range.

    A major alone means its newest minor, and where one of its minors runs, that one.
    """
    rds, asked = session.client("rds"), settings.engine_version
    offered = {one["EngineVersion"]: one for one in api.items(rds, "describe_db_engine_versions", "DBEngineVersions", Engine=ENGINE)}  # fmt: skip
    if there is None:
        wanted = newest(offered, asked) or asked
        yield Check.of("the version can be created", _is_orderable(rds, wanted), _detail(asked, wanted, offered))
        if settings.engine_lifecycle_support == NO_EXTENDED_SUPPORT:
            yield _in_standard_support(wanted)
    elif asked in (there.engine_version, major(there.engine_version)):
        wanted = there.engine_version
        yield Check.of("the version is the running one", True, wanted)
    else:
        # What runs here may have been withdrawn since: it is not offered any more, and can be upgraded all the same.
        withdrawn = {"EngineVersion": there.engine_version, "IncludeAll": True}
        running = offered.get(there.engine_version) or next(api.items(rds, "describe_db_engine_versions", "DBEngineVersions", Engine=ENGINE, **withdrawn), {})  # fmt: skip
        targets = [one["EngineVersion"] for one in running.get("ValidUpgradeTarget", [])]
        wanted = newest(targets, asked) or asked
        name, way = "the version can be upgraded to", f"from {there.engine_version} to {wanted}"
        if running:
            yield Check.of(name, wanted in targets, f"{way}; AWS offers {', '.join(targets) or 'nothing'}")
        else:
            yield Check(name, "SKIP", f"{way}: AWS does not tell any more what {there.engine_version} can be upgraded to")  # fmt: skip
        if major(wanted) != major(there.engine_version):
            yield _is_allowed(settings, way)
    support = offered.get(wanted, {}).get("ServerlessV2FeaturesSupport")
    if support is None:
        yield Check("the version allows the range", "SKIP", f"AWS does not say what {wanted} allows")
        return
    low, high = support["MinCapacity"], support["MaxCapacity"]
    allowed = low <= settings.min_capacity and settings.max_capacity <= high
    yield Check.of("the version allows the range", allowed, f"{settings.min_capacity:g} to {settings.max_capacity:g} ACU, of {low:g} to {high:g}")  # fmt: skip


def _is_allowed(settings: Settings, way: str) -> Check:
    """Without the flag AWS refuses a major upgrade in the middle of the apply; without apply_immediately it waits for the window."""
    wanted = {
        "allow_major_version_upgrade": settings.allow_major_version_upgrade,
        "apply_immediately": settings.apply_immediately,
    }
    missing = [name for name, value in wanted.items() if not value]
    told = f"{way} is another major version: set {' and '.join(missing)} to true in terraform.tfvars.json for the upgrade, and take both back afterwards"
    return Check.of("a major upgrade is allowed by the file", not missing, told if missing else way)


def _in_standard_support(wanted: str) -> Check:
    """Without Extended Support AWS creates no cluster of a major version whose standard support has ended."""
    name, until = "the version is in standard support", engine_support.standard_until(wanted)
    if until is None:
        return Check(name, "SKIP", f"the end of standard support of {wanted} is not known here")
    told = f"{wanted} until {until}" if today() <= until else (
        f"that of {wanted} ended after {until}, and engine_lifecycle_support is {NO_EXTENDED_SUPPORT}: AWS refuses to create it. "
        f"Take a later version, or {EXTENDED_SUPPORT}, which costs extra"
    )  # fmt: skip
    return Check.of(name, today() <= until, told)


def support(settings: Settings) -> tuple[str, ...]:
    """What a plan warns of a year ahead: the end of the version's standard support, after which every ACU-hour costs more."""
    said = engine_support.warning(settings.engine_version, today(), settings.engine_lifecycle_support)
    return (f"{said}. Plan the upgrade.",) if said else ()


def insights(settings: Settings, there: Cluster | None, provider: str) -> Iterator[Check]:
    """Whether this provider can change the Insights mode of the cluster that is there. Nothing where the mode does not change."""
    if (
        there is None
        or settings.database_insights_mode != "advanced"
        or there.raw.get("DatabaseInsightsMode") == "advanced"
    ):
        return
    name, key = "the Insights mode can be changed", there.raw.get("PerformanceInsightsKMSKeyId", "")
    if not there.raw.get("PerformanceInsightsEnabled"):
        return
    number = tuple(int(part) for part in provider.split(".")[:2])
    command = (
        f"aws rds modify-db-cluster --db-cluster-identifier {there.identifier} --database-insights-mode advanced --enable-performance-insights "
        f"--performance-insights-retention-period {ADVANCED_DAYS} --performance-insights-kms-key-id {key} --apply-immediately"
    )
    yield Check.of(
        name, number >= NAMES_THE_KEY,
        f"provider {provider}" if number >= NAMES_THE_KEY else
        f"provider {provider} changes standard to advanced without the key, which AWS takes for another key and refuses "
        f"(hashicorp/terraform-provider-aws#42981; 6.10.0 sends it). Use 6.10.0 or later, or change it once with: {command}",
    )  # fmt: skip


def _is_orderable(rds: Any, wanted: str) -> bool:
    try:
        asked = {"Engine": ENGINE, "EngineVersion": wanted, "DBInstanceClass": SERVERLESS_CLASS}
        offered = api.items(rds, "describe_orderable_db_instance_options", "OrderableDBInstanceOptions", **asked)
        return next(offered, None) is not None
    except ClientError as error:
        if code_of(error) == "InvalidParameterCombination":  # "Cannot find version …"
            return False
        raise


def _detail(asked: str, wanted: str, offered: dict[str, Any]) -> str:
    if wanted in offered:
        return wanted if asked == wanted else f"{asked} means {wanted}"
    own = major(wanted)
    return f"{wanted} is not offered; of {own} there are {', '.join(one for one in offered if major(one) == own) or 'none'}"
