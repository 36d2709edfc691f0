"""Network admission: where clients are placed, and which endpoints this account's EC2 rules let them reach."""

from ipaddress import IPv4Address
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.rds.models import rds_backends

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.client.network import Place
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.network.rules import Location, Verdict, evaluate
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance

_ANYWHERE = Verdict(True, "this client was not placed in the network, so no rule applies to it")
_DATABASE, _CLIENT = 10, 20  # the number of its address in the subnet: moto assigns none


class Admission:
    """Asked by the endpoint proxy for every connection. As long as no client is placed, all are admitted."""

    def __init__(self, plane: DataPlane) -> None:
        self.places: dict[str, Place] = {}  # by client
        self._plane = plane
        plane.proxy.admits, plane.proxy.is_silent = self.admits, self.is_silent

    def place(self, place: Place) -> None:
        """Place a client in an existing subnet, or outside every VPC.

        Raises
        ------
        InputError
            The subnet or a security group does not exist, or they are in different VPCs.
        """
        _location_of(place)
        self.places[place.client] = place

    def clear(self) -> None:
        """Forget all places."""
        self.places.clear()

    def admits(self, data: ClusterData, instance: str, client: str) -> bool:
        """Whether a connection from this address gets through."""
        return not self.places or self._verdict(data, instance, client).passes

    def is_silent(self, data: ClusterData, instance: str) -> bool:
        """Whether no client gets through, neither the placed ones nor any other."""
        if "" not in self.places:
            return False
        return not any(self._verdict(data, instance, client).passes for client in list(self.places))

    def verdict_at(self, host: str, client: str) -> Verdict:
        """What happens to a connection to the endpoint `host`.

        Raises
        ------
        InputError
            No cluster of this sandbox has that endpoint, or it leads nowhere now.
        """
        for data in list(self._plane.clusters.values()):
            role = data.endpoints.get(host)
            if role is not None:
                instances = data.instances_behind(role)
                if not instances:
                    raise InputError(
                        f"{host} of {data.identifier} leads to no instance now, so connections are refused, whatever the network rules are."
                    )
                return self._verdict(data, instances[0], client)
        raise InputError(f"no cluster of this sandbox has the endpoint {host!r}.")

    def _verdict(self, data: ClusterData, instance: str, client: str) -> Verdict:
        place = self.places.get(client) or self.places.get("")
        if place is None:
            return _ANYWHERE
        try:
            source = _location_of(place)
        except InputError as error:  # it was deleted meanwhile
            return Verdict(False, str(error))
        for backend in rds_backends[DEFAULT_ACCOUNT_ID].values():
            found = backend.databases.get(instance)
            cluster = found.cluster if isinstance(found, AuroraInstance) else None
            if isinstance(found, AuroraInstance) and isinstance(cluster, AuroraCluster) and cluster.data is data:
                target = _location_of_instance(backend, found)
                ports = dict.fromkeys((cluster.wanted_port, data.port))  # its port may have been taken on this machine
                return evaluate(source, target, ports, public=bool(found.publicly_accessible))
        return Verdict(False, f"there is no instance {instance}")


def _location_of(place: Place) -> Location:
    if not place.subnet:
        return Location(IPv4Address(place.address))
    for ec2 in list(ec2_backends[DEFAULT_ACCOUNT_ID].values()):
        subnet = next((zone[place.subnet] for zone in ec2.subnets.values() if place.subnet in zone), None)
        if subnet is not None:
            break
    else:
        raise InputError(f"subnet={place.subnet!r} does not exist in this account, so no client can be placed in it.")
    known = ec2.groups[subnet.vpc_id]
    for name in place.security_groups:
        if name not in known:
            raise InputError(f"{name!r} is no security group of {subnet.vpc_id}, the VPC of {place.subnet}.")
    groups = [known[name] for name in place.security_groups] or _default_group(ec2, subnet)  # as of an EC2 interface
    address = IPv4Address(place.address or str(subnet.cidr[_CLIENT % subnet.cidr.num_addresses]))
    if address not in subnet.cidr:
        raise InputError(f"address={place.address!r} is not in {place.subnet}, {subnet.cidr}.")
    return Location(address, subnet, tuple(groups))


def _default_group(ec2: Any, subnet: Any) -> list[Any]:
    return [ec2.get_default_security_group(subnet.vpc_id)]


def _location_of_instance(backend: Any, instance: AuroraInstance) -> Location:
    """An instance's location: in the subnet of its zone, with the cluster's security groups."""
    ec2 = ec2_backends[DEFAULT_ACCOUNT_ID][backend.region_name]
    group = backend.describe_db_subnet_groups(instance.cluster.db_subnet_group_name or "default")[0]
    zones = {subnet.availability_zone: subnet for subnet in reversed(group._subnets)}
    subnet = zones.get(instance.availability_zone) or group._subnets[0]
    known = ec2.groups[subnet.vpc_id]
    groups = [known[name] for name in instance.cluster.vpc_security_group_ids if name in known]
    address = IPv4Address(str(subnet.cidr[_DATABASE % subnet.cidr.num_addresses]))
    return Location(address, subnet, tuple(groups or _default_group(ec2, subnet)))  # without any, as in RDS
