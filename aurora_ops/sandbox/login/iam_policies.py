"""Whether identity policies allow an action on a resource, by "Policy evaluation logic" of the IAM User Guide.

moto's own evaluation ignores NotResource, takes the dots of an ARN for wildcards, has no `?`, and applies a Deny whose condition is
not met. Here a condition counts as not met for an Allow and as met for a Deny, so an action that is allowed here is allowed by the
identity policies in AWS too. Not evaluated: permissions boundaries, session policies, and service control policies.
"""

import json
import re
from typing import Any

from moto.iam.models import Policy


def documents(policies: list[Any]) -> list[dict[str, Any]]:
    """The documents of policies as moto stores them: managed ones with versions, inline ones as text or in a record."""
    texts = [
        next(version.document for version in one.versions if version.is_default)
        if isinstance(one, Policy)
        else one
        if isinstance(one, str)
        else one["policy_document"]
        for one in policies
    ]
    return [json.loads(text) for text in texts]


def allows(policies: list[dict[str, Any]], action: str, resource: str, user: str) -> bool:
    """Whether some statement allows it and none denies it. `user` is what ${aws:username} stands for.

    >>> allow = {"Statement": {"Effect": "Allow", "Action": "rds-db:*", "Resource": "arn:aws:rds-db:*:*:dbuser:*/${aws:username}"}}
    >>> allows([allow], "rds-db:connect", "arn:aws:rds-db:eu-west-1:1:dbuser:cluster-A/app", "app")
    True
    >>> deny = {"Statement": [{"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}]}
    >>> allows([allow, deny], "rds-db:connect", "arn:aws:rds-db:eu-west-1:1:dbuser:cluster-A/app", "app")
    False
    """
    effects = {
        statement["Effect"]
        for document in policies
        for statement in _list(document["Statement"])
        if _applies(statement, action, resource, user)
    }
    return effects == {"Allow"}


def allows_anywhere(policies: list[dict[str, Any]], action: str) -> bool:
    """Whether some statement allows the action on some resource, and none denies it on all.

    >>> allow = {"Statement": {"Effect": "Allow", "Action": "rds:Describe*", "Resource": "arn:aws:rds:*:*:cluster:mine"}}
    >>> allows_anywhere([allow], "rds:DescribeDBClusters"), allows_anywhere([allow], "rds:DeleteDBCluster")
    (True, False)
    """
    statements = [one for document in policies for one in _list(document["Statement"])]
    acts = [
        one
        for one in statements
        if _matches(_list(one.get("Action") or one.get("NotAction")), action, "", re.IGNORECASE) != ("NotAction" in one)
    ]
    allowed = any(one["Effect"] == "Allow" and not one.get("Condition") for one in acts)
    return allowed and not any(one["Effect"] == "Deny" and "*" in _list(one.get("Resource")) for one in acts)


def _applies(statement: dict[str, Any], action: str, resource: str, user: str) -> bool:
    if statement.get("Condition") and statement["Effect"] == "Allow":
        return False
    acts = _matches(_list(statement.get("Action") or statement.get("NotAction")), action, user, re.IGNORECASE)
    where = _matches(_list(statement.get("Resource") or statement.get("NotResource")), resource, user)
    return acts != ("NotAction" in statement) and where != ("NotResource" in statement)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _matches(patterns: list[str], value: str, user: str, flags: int = 0) -> bool:
    return any(re.fullmatch(_expression(one.replace("${aws:username}", user)), value, flags) for one in patterns)


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
