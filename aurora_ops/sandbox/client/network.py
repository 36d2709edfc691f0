"""Places clients in the network. By default no network rule applies to them, since all of them are on this machine.

    network = Network(lifecycle.status())
    network.place(subnet="subnet-0a1", security_groups=["sg-0b2"])    # all clients: as an instance in a VPC
    network.place(address="203.0.113.5")                              # or as a laptop on the internet
    network.place(client="127.9.0.1", address="198.51.100.7")         # only connections from that loopback address
    network.why(cluster["Endpoint"])    # "blocked: no inbound rule of sg-0c3 lets tcp 5432 in from ..."
    network.clear()

Once a client is placed, endpoints admit only what the security groups, network ACLs and routes of this account's EC2 let through.
A blocked connection is not refused: it hangs until the client's own timeout. Over HTTP, for other languages: GET (with
`?host=<endpoint>&client=<loopback address>`: why), POST (one place as JSON) and DELETE on `/aurora-ops/network` of the sandbox's endpoint.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import Any
from urllib.parse import urlencode

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import wire
from aurora_ops.sandbox.client.state import State

PATH = "/aurora-ops/network"


@dataclass
class Place:
    """A client's place: in a subnet, with security groups; or at an address outside of every VPC.

    `client` is the loopback address that it connects from here; empty: every client that has no place of its own.
    """

    client: str = ""
    subnet: str = ""
    security_groups: list[str] = field(default_factory=list)
    address: str = ""

    def __post_init__(self) -> None:
        if not self.subnet and (self.security_groups or not self.address):
            raise InputError(
                f"{self!r}: name a subnet, with security groups if you like, or an address outside of the VPC."
            )
        for name in ("client", "address"):
            try:
                parsed = IPv4Address(getattr(self, name) or "127.0.0.1")
            except AddressValueError:
                raise InputError(
                    f"{name}={getattr(self, name)!r} is no IPv4 address; use one like 203.0.113.5."
                ) from None
            if name == "client" and not parsed.is_loopback:
                raise InputError(f"client={self.client!r}: clients come from this machine, so use one of 127.0.0.0/8.")


class Network:
    """The places of clients of one running sandbox, from any process. They end with the sandbox."""

    def __init__(self, state: State) -> None:
        self._endpoint_url = state.endpoint_url

    def place(
        self, *, client: str = "", subnet: str = "", security_groups: Sequence[str] = (), address: str = ""
    ) -> None:
        """Place all clients, or those that connect from the loopback address `client`.

        Parameters
        ----------
        subnet, security_groups
            As an EC2 instance or a Lambda function in a VPC has them. Without `address`, it has one of the subnet's addresses.
        address
            Its IPv4 address; without a subnet, one outside AWS.

        Raises
        ------
        InputError
            Neither is given, or the subnet or a group does not exist.
        """
        self._call("POST", asdict(Place(client, subnet, list(security_groups), address)))

    def places(self) -> list[Place]:
        """The clients that have been placed."""
        return [Place(**one) for one in self._call("GET")]

    def why(self, host: str, client: str = "") -> str:
        """What happens to a connection to an endpoint, and which rule says so: "passes: ..." or "blocked: ..."."""
        return str(self._call("GET", query={"host": host, "client": client}))

    def clear(self) -> None:
        """Forget all places: no network rule applies to any client."""
        self._call("DELETE")

    def _call(self, method: str, body: Any = None, query: dict[str, str] | None = None) -> Any:
        return wire.ask(self._endpoint_url, method, f"{PATH}?{urlencode(query)}" if query else PATH, body)
