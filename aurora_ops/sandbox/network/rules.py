"""What AWS's network does with a packet to an endpoint: routes, network ACLs and security groups, as moto's EC2 stores them.

Evaluated as the VPC User Guide says: the most specific route is used; of a network ACL the first matching rule by number, in both
directions, and not within one subnet; a security group has allow rules only, and is stateful.
Only IPv4 and TCP; a database's own egress rules never matter, since it opens no connection.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any

EPHEMERAL = (32768, 60999)  # of a Linux client; both ends of the range are checked
_ALL = ("-1", "all", None, "")
_TCP = ("tcp", "6")


@dataclass(frozen=True)
class Location:
    """A location in the network: in a subnet with security groups, or outside every VPC (no subnet)."""

    address: IPv4Address
    subnet: Any = None  # moto's
    groups: tuple[Any, ...] = ()  # moto's


@dataclass(frozen=True)
class Verdict:
    """Whether a connection gets through, and the rule that decides it."""

    passes: bool
    reason: str

    def __str__(self) -> str:
        return f"{'passes' if self.passes else 'blocked'}: {self.reason}"


class _BlockedError(Exception):
    """A rule, or a missing one, blocks the packet."""


def evaluate(source: Location, target: Location, ports: Iterable[int], *, public: bool) -> Verdict:
    """Whether a TCP connection from `source` reaches `target` on one of `ports`.

    `public`: the target has a public address besides its private one, as a PubliclyAccessible instance has.
    """
    refused = ""
    for port in ports:
        try:
            _route(source, target, public=public)
            _acls(source, target, port)
            _egress(source, target, port)
            return Verdict(True, _ingress(source, target, port))
        except _BlockedError as error:
            refused = refused or str(error)
    return Verdict(False, refused)


# -- routes ---------------------------------------------------------------------------------------------------------


def _route(source: Location, target: Location, *, public: bool) -> None:
    home = target.subnet.vpc_id
    if source.subnet is None:
        _route_from_outside(source, target, public=public)
        return
    if source.subnet.vpc_id == home:
        return  # every route table has the local route
    there = _best(source.subnet, target.address)
    if there is None:
        raise _BlockedError(
            f"{source.subnet.id} is in {source.subnet.vpc_id} and the database in {home}; "
            f"{_table(source.subnet).id} has no route to {target.address}, so add a peering connection and routes on both sides"
        )
    _crosses(there, source.subnet.vpc_id, home, _table(source.subnet).id)
    back = _best(target.subnet, source.address)
    if back is None or _via(back) != _via(there):
        raise _BlockedError(
            f"{_table(target.subnet).id} of the database's {target.subnet.id} has no route back to {source.address} by {_via(there)}"
        )


def _crosses(route: Any, from_vpc: str, to_vpc: str, table: str) -> None:
    """A route must lead into the other VPC: by a peering connection that is active and joins just these two, or a transit gateway."""
    peering = route.vpc_pcx
    if peering is None and route.transit_gateway is None:
        raise _BlockedError(f"the route of {table} leads to {_via(route) or 'nowhere'}, and not into {to_vpc}")
    if peering is None:
        return
    if {peering.vpc.id, peering.peer_vpc.id} != {from_vpc, to_vpc}:
        raise _BlockedError(f"{peering.id}, where the route of {table} leads, does not join {from_vpc} with {to_vpc}")
    if peering._status.code != "active":
        raise _BlockedError(f"{peering.id} is {peering._status.code}, not active: accept it")


def _route_from_outside(source: Location, target: Location, *, public: bool) -> None:
    back = _best(target.subnet, source.address)
    table = _table(target.subnet).id
    if source.address.is_global or not (back and (back.transit_gateway or (_via(back) or "").startswith("vgw-"))):
        if not public:
            raise _BlockedError(
                f"{source.address} is outside the VPC and the instance is not PubliclyAccessible, so its endpoint is a private address"
            )
        if back is None or not (_via(back) or "").startswith("igw-"):
            raise _BlockedError(
                f"the instance is PubliclyAccessible, but {table} of its {target.subnet.id} has no route to an internet gateway"
            )


def _table(subnet: Any) -> Any:
    """The route table of a subnet: its own, else the VPC's main one."""
    tables = [one for one in list(subnet.ec2_backend.route_tables.values()) if one.vpc_id == subnet.vpc_id]
    own = [one for one in tables if subnet.id in one._associations.values()]
    return (own or [one for one in tables if one.main_association_id])[0]


def _best(subnet: Any, address: IPv4Address) -> Any:
    """The most specific route to an address, None without one."""
    found = []
    for route in list(_table(subnet)._routes.values()):
        lists = [route.destination_prefix_list] if route.destination_prefix_list else []
        blocks = [route.destination_cidr_block] if route.destination_cidr_block else _blocks(lists)
        found += [(ip_network(block, strict=False).prefixlen, route) for block in blocks if _holds(block, address)]
    return max(found, key=lambda one: one[0])[1] if found else None


def _via(route: Any) -> str | None:
    for one in (route.vpc_pcx, route.transit_gateway, route.gateway, route.nat_gateway):
        if one is not None:
            return str(one.id)
    return "local" if route.local else None


# -- network ACLs ---------------------------------------------------------------------------------------------------


def _acls(source: Location, target: Location, port: int) -> None:
    """A network ACL is stateless, so the answers have to get through as well."""
    if source.subnet is not None and source.subnet.id == target.subnet.id:
        return
    answers = f"its answers, to the ports {EPHEMERAL[0]} to {EPHEMERAL[1]} of"
    if source.subnet is not None:
        _acl(source.subnet, target.address, (port,), egress=True, what=f"tcp {port} to")
        _acl(source.subnet, target.address, EPHEMERAL, egress=False, what="answers from")
    _acl(target.subnet, source.address, (port,), egress=False, what=f"tcp {port} from")
    _acl(target.subnet, source.address, EPHEMERAL, egress=True, what=answers)


def _acl(subnet: Any, other: IPv4Address, ports: Iterable[int], *, egress: bool, what: str) -> None:
    acls = list(subnet.ec2_backend.network_acls.values())
    acl = next(one for one in acls if any(link.subnet_id == subnet.id for link in list(one._associations.values())))
    rules = sorted(
        (one for one in list(acl.network_acl_entries) if one.egress in (egress, str(egress).lower())),
        key=lambda one: int(one.rule_number),
    )
    for port in ports:
        rule = next((one for one in rules if _acl_covers(one, other, port)), None)
        if rule is None or rule.rule_action != "allow":
            number = rule.rule_number if rule and int(rule.rule_number) < 32767 else "*"
            side = "outbound" if egress else "inbound"
            raise _BlockedError(
                f"{side} rule {number} of {acl.id}, the network ACL of {subnet.id}, denies {what} {other}"
            )


def _acl_covers(rule: Any, other: IPv4Address, port: int) -> bool:
    if not rule.cidr_block or not _holds(rule.cidr_block, other):
        return False
    if str(rule.protocol) in _ALL:
        return True
    return str(rule.protocol) in _TCP and _between(port, rule.port_range_from, rule.port_range_to)


# -- security groups ------------------------------------------------------------------------------------------------


def _egress(source: Location, target: Location, port: int) -> None:
    if source.subnet is None or not source.groups:
        return
    rules = [rule for group in source.groups for rule in group.egress_rules]
    if not any(_rule_covers(rule, target, port) for rule in rules):
        raise _BlockedError(f"no outbound rule of {_names(source.groups)} lets tcp {port} out to {target.address}")


def _ingress(source: Location, target: Location, port: int) -> str:
    rules = [(group, rule) for group in target.groups for rule in group.ingress_rules]
    for group, rule in rules:
        if _rule_covers(rule, source, port):
            return f"rule {rule.id} of {group.id} lets tcp {port} in"
    members = f" in {_names(source.groups)}" if source.groups else ""
    near = [rule for _, rule in rules if _rule_concerns(rule, port)]
    seen = ", ".join(sorted({_origin(rule) for rule in near})) or "no source"
    raise _BlockedError(
        f"no inbound rule of {_names(target.groups)} lets tcp {port} in from {source.address}{members}; they let in {seen}"
    )


def _rule_concerns(rule: Any, port: int) -> bool:
    protocol = str(rule.ip_protocol)
    return protocol in _ALL or (protocol in _TCP and _between(port, rule.from_port, rule.to_port))


def _rule_covers(rule: Any, other: Location, port: int) -> bool:
    if not _rule_concerns(rule, port):
        return False
    if group := rule.source_group.get("GroupId"):
        return group in {one.id for one in other.groups}
    if rule.prefix_list_id:
        lists = [one for one in list(rule.ec2_backend.managed_prefix_lists.values()) if one.id == rule.prefix_list_id]
        return any(_holds(block, other.address) for block in _blocks(lists))
    return _holds(rule.ip_range.get("CidrIp"), other.address)


def _origin(rule: Any) -> str:
    return str(rule.source_group.get("GroupId") or rule.prefix_list_id or rule.ip_range.get("CidrIp") or "IPv6")


def _names(groups: Iterable[Any]) -> str:
    return ", ".join(group.id for group in groups) or "no security group"


def _blocks(lists: Iterable[Any]) -> list[str]:
    """The CIDR blocks of prefix lists, in their current versions."""
    return [entry["Cidr"] for one in lists for entry in one.entries.get(one.version) or ()]


def _holds(block: str | None, address: IPv4Address) -> bool:
    if not block:
        return False
    network = ip_network(block, strict=False)
    return isinstance(network, IPv4Network) and ip_address(address) in network


def _between(port: int, low: Any, high: Any) -> bool:
    return low is not None and high is not None and (int(low) == -1 or int(low) <= port <= int(high))
