"""Whether AWS's network lets a client through to an instance: routes, network ACLs, security groups, as EC2 describes them.

A client that is named by its subnet may have any of its addresses, so a rule must cover the whole of it. IPv4 and TCP.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any

from aurora_ops.aws.session import Session
from aurora_ops.core.errors import InputError

_ALL, _TCP = ("-1", "all"), ("tcp", "6")
_EPHEMERAL = (32768, 60999)  # a Linux client's own ports, to which answers go


@dataclass(frozen=True)
class Place:
    """Where one end is: an address or a whole subnet, with its security groups; outside every VPC there is no subnet."""

    network: IPv4Network
    subnet: str = ""
    vpc: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blocked:
    """What stops it, and the command that opens it."""

    reason: str
    command: str = ""


def read_source(session: Session, text: str) -> Place:
    """The client's place from text such as "subnet-0a1,sg-0b2" or "203.0.113.5".

    Raises
    ------
    InputError
        It is neither, or there is no such subnet.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    subnets = [part for part in parts if part.startswith("subnet-")]
    groups = tuple(part for part in parts if part.startswith("sg-"))
    rest = [part for part in parts if part not in (*subnets, *groups)]
    if len(subnets) == 1 and not rest:
        found = session.client("ec2").describe_subnets(Filters=[{"Name": "subnet-id", "Values": subnets}])["Subnets"]
        if found:
            one = found[0]
            return Place(IPv4Network(one["CidrBlock"]), one["SubnetId"], one["VpcId"], groups)
        raise InputError(f"client_at={text!r}: there is no {subnets[0]} in {session.region}, so no path was looked at.")
    try:
        (address,) = rest
        if not subnets and not groups:
            return Place(IPv4Network(address))
    except ValueError:
        pass
    raise InputError(
        f"client_at={text!r} is no place of a client, so nothing was looked at. Give a subnet and its security groups "
        "(subnet-0a1,sg-0b2), or an IPv4 address outside of AWS (203.0.113.5)."
    )


def of_instance(session: Session, instance: dict[str, Any], address: str) -> Place:
    """Where an instance is, from DescribeDBInstances: in the subnet of its zone, at `address` where that lies in it."""
    group = instance["DBSubnetGroup"]
    zone = instance.get("AvailabilityZone")
    subnets = [
        one["SubnetIdentifier"] for one in group["Subnets"] if one.get("SubnetAvailabilityZone", {}).get("Name") == zone
    ] or [one["SubnetIdentifier"] for one in group["Subnets"]]
    ec2 = session.client("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": subnets[:1]}])["Subnets"][0]
    network, exact = IPv4Network(subnet["CidrBlock"]), ip_network(address)
    groups = tuple(one["VpcSecurityGroupId"] for one in instance["VpcSecurityGroups"])
    inside = isinstance(exact, IPv4Network) and exact.subnet_of(network)
    return Place(
        exact if isinstance(exact, IPv4Network) and inside else network, subnet["SubnetId"], subnet["VpcId"], groups
    )


def blocked(session: Session, source: Place, target: Place, port: int, *, public: bool) -> Blocked | None:
    """The first thing on the way that stops a TCP connection; None where nothing does."""
    ec2 = session.client("ec2")
    return (
        _route(ec2, source, target, public=public)
        or _acls(ec2, source, target, port)
        or _groups(ec2, source, target, port)
    )


def _route(ec2: Any, source: Place, target: Place, *, public: bool) -> Blocked | None:
    if source.vpc == target.vpc:
        return None  # every route table has the local route
    table = _table(ec2, target)
    back = _best(table, source.network)
    if source.vpc:
        there = _best(_table(ec2, source), target.network)
        if there is None or _via(there)[:4] not in ("pcx-", "tgw-"):
            return Blocked(
                f"{source.subnet} is in {source.vpc} and the database in {target.vpc}: {_table(ec2, source)['RouteTableId']} has no route to {target.network}",
                "connect the VPCs by a peering connection or a transit gateway, with a route in both tables",
            )
        if back is None or _via(back) != _via(there):
            return Blocked(
                f"{table['RouteTableId']} of the database's {target.subnet} has no route back to {source.network} by {_via(there)}",
                f"aws ec2 create-route --route-table-id {table['RouteTableId']} --destination-cidr-block {source.network} --vpc-peering-connection-id {_via(there)}",
            )
        return None
    if back is not None and _via(back)[:4] in ("vgw-", "tgw-"):
        return None
    if not public:
        return Blocked(
            f"{source.network.network_address} is outside of {target.vpc}, and the instance has a private address only (PubliclyAccessible is false)",
            "connect from inside the VPC: a bastion with a port forwarded by Session Manager, a VPN or Direct Connect",
        )
    if back is None or not _via(back).startswith("igw-"):
        return Blocked(
            f"the instance is PubliclyAccessible, but {table['RouteTableId']} of its {target.subnet} has no route to an internet gateway",
            f"aws ec2 create-route --route-table-id {table['RouteTableId']} --destination-cidr-block 0.0.0.0/0 --gateway-id igw-…",
        )
    return None


def _table(ec2: Any, place: Place) -> dict[str, Any]:
    """The route table of a subnet: its own, else the VPC's main one."""
    for filters in (
        [{"Name": "association.subnet-id", "Values": [place.subnet]}],
        [{"Name": "vpc-id", "Values": [place.vpc]}, {"Name": "association.main", "Values": ["true"]}],
    ):
        if found := ec2.describe_route_tables(Filters=filters)["RouteTables"]:
            return dict(found[0])
    return {"RouteTableId": "no route table", "Routes": []}


def _best(table: dict[str, Any], network: IPv4Network) -> dict[str, Any] | None:
    found = [
        (IPv4Network(one["DestinationCidrBlock"]).prefixlen, number, one)
        for number, one in enumerate(table["Routes"])
        if one.get("DestinationCidrBlock") and _covers(one["DestinationCidrBlock"], network)
    ]
    return max(found)[2] if found else None


def _via(route: dict[str, Any]) -> str:
    names = ("VpcPeeringConnectionId", "TransitGatewayId", "GatewayId", "NatGatewayId")
    return next((str(route[name]) for name in names if route.get(name)), "")


def _acls(ec2: Any, source: Place, target: Place, port: int) -> Blocked | None:
    """A network ACL is stateless, so the answers have to get through as well."""
    if source.subnet == target.subnet:
        return None
    looks = [(target.subnet, source.network, (port,), False), (target.subnet, source.network, _EPHEMERAL, True)]
    if source.subnet:
        looks += [(source.subnet, target.network, (port,), True), (source.subnet, target.network, _EPHEMERAL, False)]
    for subnet, other, ports, egress in looks:
        acl = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["NetworkAcls"]
        rules = sorted(
            (one for one in acl[0]["Entries"] if one["Egress"] is egress), key=lambda one: int(one["RuleNumber"])
        )
        for number in ports:
            rule = next((one for one in rules if _acl_covers(one, other, number)), None)
            if rule is None or rule["RuleAction"] != "allow":
                which = "*" if rule is None or int(rule["RuleNumber"]) > 32766 else rule["RuleNumber"]
                identifier = acl[0]["NetworkAclId"]
                return Blocked(
                    f"{'outbound' if egress else 'inbound'} rule {which} of {identifier}, the network ACL of {subnet}, denies tcp {number} {'to' if egress else 'from'} {other}",
                    f"aws ec2 create-network-acl-entry --network-acl-id {identifier} {'--egress' if egress else '--ingress'} --rule-number … "
                    f"--protocol tcp --port-range From={number},To={number} --cidr-block {other} --rule-action allow",
                )
    return None


def _acl_covers(rule: dict[str, Any], other: IPv4Network, port: int) -> bool:
    if not rule.get("CidrBlock") or not _covers(rule["CidrBlock"], other):
        return False
    ports = rule.get("PortRange")
    return str(rule["Protocol"]) in _ALL or (
        str(rule["Protocol"]) in _TCP and (not ports or ports["From"] <= port <= ports["To"])
    )


def _groups(ec2: Any, source: Place, target: Place, port: int) -> Blocked | None:
    described = _described(ec2, (*source.groups, *target.groups))
    out = [rule for name in source.groups for rule in described.get(name, {}).get("IpPermissionsEgress", [])]
    if source.groups and not any(_rule_covers(ec2, rule, target, port) for rule in out):
        return Blocked(
            f"no outbound rule of {', '.join(source.groups)} lets tcp {port} out to {target.network}",
            f"aws ec2 authorize-security-group-egress --group-id {source.groups[0]} --protocol tcp --port {port} --cidr {target.network}",
        )
    inbound = [rule for name in target.groups for rule in described.get(name, {}).get("IpPermissions", [])]
    if any(_rule_covers(ec2, rule, source, port) for rule in inbound):
        return None
    allowed = sorted({origin for rule in inbound if _concerns(rule, port) for origin in _origins(rule)})
    client = f"--source-group {source.groups[0]}" if source.groups else f"--cidr {source.network}"
    group = target.groups[0] if target.groups else "sg-…"
    return Blocked(
        f"no inbound rule of {', '.join(target.groups) or 'any security group'} lets tcp {port} in from {source.network}"
        f"{f' in {chr(44).join(source.groups)}' if source.groups else ''}; it lets in {', '.join(allowed) or 'no source'}",
        f"aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port {port} {client}",
    )


def admitted(session: Session, target: Place, port: int) -> list[str]:
    """The sources that the instance's security groups let in on this port."""
    described = _described(session.client("ec2"), target.groups)
    rules = [rule for one in described.values() for rule in one["IpPermissions"] if _concerns(rule, port)]
    return sorted({origin for rule in rules for origin in _origins(rule)})


def _described(ec2: Any, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    if not names:
        return {}
    found = ec2.describe_security_groups(Filters=[{"Name": "group-id", "Values": list(names)}])["SecurityGroups"]
    return {str(one["GroupId"]): one for one in found}


def _concerns(rule: dict[str, Any], port: int) -> bool:
    protocol = str(rule["IpProtocol"])
    low, high = rule.get("FromPort"), rule.get("ToPort")
    return protocol in _ALL or (
        protocol in _TCP and low is not None and high is not None and (low == -1 or low <= port <= high)
    )


def _rule_covers(ec2: Any, rule: dict[str, Any], other: Place, port: int) -> bool:
    if not _concerns(rule, port):
        return False
    blocks = [one["CidrIp"] for one in rule.get("IpRanges", [])]
    for one in rule.get("PrefixListIds", []):
        entries = ec2.get_managed_prefix_list_entries(PrefixListId=one["PrefixListId"])["Entries"]
        blocks += [entry["Cidr"] for entry in entries]
    return any(one["GroupId"] in other.groups for one in rule.get("UserIdGroupPairs", [])) or any(
        _covers(block, other.network) for block in blocks
    )


def _origins(rule: dict[str, Any]) -> list[str]:
    return [
        *(one["GroupId"] for one in rule.get("UserIdGroupPairs", [])),
        *(one["CidrIp"] for one in rule.get("IpRanges", [])),
        *(one["PrefixListId"] for one in rule.get("PrefixListIds", [])),
    ]


def _covers(block: str, network: IPv4Network) -> bool:
    outer = ip_network(block, strict=False)
    return isinstance(outer, IPv4Network) and network.subnet_of(outer)
