"""Whether the address that a client has is one of the cluster's, with its port."""

from collections.abc import Iterator

from aurora_ops.aws import inventory
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose.connection import client
from aurora_ops.diagnose.connection.looks import Look, finding, passed, skipped

ADDRESS, PROXY = "address", "RDS Proxy"


def read(text: str, found: Cluster) -> tuple[str, int]:
    """Host and port as the client has them; what is left out is the writer's.

    Raises
    ------
    InputError
        What stands behind the colon is no port.
    """
    host, colon, port = text.strip().lower().partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InputError(
            f"address={text!r} has no port behind its colon, so nothing was looked at. Write HOST or HOST:PORT."
        )
    return host.rstrip(".") or found.endpoint, int(port or found.port)


def look(session: Session, found: Cluster, host: str, port: int, addresses: tuple[str, ...]) -> Iterator[Look]:
    """Whose endpoint it is. `addresses` are those of the name: an alias has the ones of an endpoint."""
    own = {
        str(one).lower() for one in (found.endpoint, found.reader_endpoint, *(found.raw.get("CustomEndpoints") or ()))
    }
    own |= {one.endpoint.lower() for one in found.instances if one.endpoint}
    whose = f"an endpoint of {found.identifier}"
    if ".proxy-" in host:
        whose = "an RDS Proxy's"
        yield skipped(
            PROXY,
            f"{host} is an RDS Proxy's endpoint: its targets and secrets were not looked at; aws rds describe-db-proxy-targets tells their health",
        )
    elif host not in own:
        alias = next((one for one in sorted(own) if set(client.resolve(one, port).addresses) & set(addresses)), "")
        if not alias:
            yield _of_another(session, found, host)
            return
        whose = f"an alias of {alias}"
    if port != found.port and ".proxy-" not in host:
        yield finding(
            ADDRESS,
            f"the client asks port {port}, and {found.identifier} listens on {found.port}",
            f"give the client {host}:{found.port}",
        )
        return
    yield passed(ADDRESS, f"{host}:{port} is {whose}")


def _of_another(session: Session, found: Cluster, host: str) -> Look:
    there = inventory.of_client(session.client("rds"))
    other = next((one.identifier for one in there if host in one.endpoints), "")
    return finding(
        ADDRESS,
        f"{host} is no endpoint of {found.identifier}, {f'but of cluster {other}' if other else 'nor of another cluster of this region'}",
        f"give the client {found.endpoint}:{found.port}, or for reading {found.reader_endpoint}:{found.port}",
    )
