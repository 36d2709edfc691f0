"""What Serverless v2 for PostgreSQL is called in AWS's APIs, and how its versions are numbered."""

from collections.abc import Iterable

ENGINE = "aurora-postgresql"
SERVERLESS_CLASS = "db.serverless"
# EngineLifecycleSupport: whether a cluster runs on after standard support, and is billed for it, or is upgraded by AWS.
EXTENDED_SUPPORT = "open-source-rds-extended-support"
NO_EXTENDED_SUPPORT = "open-source-rds-extended-support-disabled"


def major(version: str) -> str:
    """The major version.

    >>> major("15.10"), major("16")
    ('15', '16')
    """
    return version.partition(".")[0]


def newest(versions: Iterable[str], of: str) -> str:
    """The newest version of a major; empty where there is none of it.

    >>> newest(["15.12", "16.9", "16.10"], "16"), newest(["15.12"], "16")
    ('16.10', '')
    """
    found = [one for one in versions if major(one) == of]
    return max(found, key=lambda one: [int(part) for part in one.split(".") if part.isdigit()], default="")
