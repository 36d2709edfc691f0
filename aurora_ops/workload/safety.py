"""Where invented rows must not be written: among those of real customers. Each answer is a reason, or empty where they may be."""

import psycopg

from aurora_ops.aws.access import Access

_TAGS, _PRODUCTION = ("environment", "env", "stage"), {"prod", "production", "live", "prd"}


def why_never(access: Access) -> str:
    """Why invented rows must never be written there, whatever is in it; empty where they may be."""
    if access.session.is_sandbox:
        return ""
    if access.environment == "prod":
        return (
            "environment='prod' on a live target: invented customers and payments would stand among real ones, so the workload never runs "
            "there. Use dev or stg, or rehearse prod in the sandbox"
        )
    if access.environment:
        return ""
    tags = {one["Key"].lower(): one["Value"] for one in access.described().raw.get("TagList", [])}
    said = next((tags[key] for key in _TAGS if tags.get(key, "").lower() in _PRODUCTION), "")
    return (
        f"cluster {access.identifier} is tagged {said}: the workload never runs on production. Name another"
        if said
        else ""
    )


def why_not_among(access: Access, connection: psycopg.Connection) -> str:
    """On a live cluster of no environment, invented rows may only stand among invented rows."""
    if access.session.is_sandbox or access.environment:
        return ""
    if connection.execute("SELECT EXISTS (SELECT FROM users WHERE email NOT LIKE '%.example')").fetchone() == (False,):
        return ""
    return (
        f"database {connection.info.dbname} of cluster {access.identifier} holds users whose addresses do not end in .example, so they may be "
        "real, and invented ones would stand among them. Use a database of its own"
    )
