"""Which PostgreSQL serves a cluster: a sandbox serves a cluster of any version by what is installed on the machine."""

from urllib.parse import urlencode

from aurora_ops.sandbox import wire

PATH = "/aurora-ops/servers"


def versions(endpoint_url: str, region: str, cluster: str) -> tuple[str, int] | None:
    """The version that a cluster says it has, and the number of the server behind it (150018); None for no such cluster."""
    found = wire.ask(endpoint_url, "GET", f"{PATH}?{urlencode({'region': region, 'cluster': cluster})}")
    return (str(found[0]), int(found[1])) if found else None
