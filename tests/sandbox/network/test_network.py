"""Clients that stand somewhere: what security groups, network ACLs and routes let through to an endpoint. moto alone keeps them as records.

Every blocked connection here is a real one without an answer, and every admitted one logs in.
"""

import socket

import psycopg
import pytest
from common import INSTANCE, PASSWORD, create, soon

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.client.network import Network

OUTSIDE = "203.0.113.5"
INTERNET = "8.8.8.8"
OTHER_CLIENT = "127.9.0.1"


class World:
    """A VPC with a database in a private subnet, an application's subnet and group beside it, and another VPC."""

    def __init__(self, ec2, rds):
        self.ec2, self.rds = ec2, rds
        self.vpc, self.other_vpc = (ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in (0, 1))
        self.databases = [self._subnet(self.vpc, f"10.0.{n}.0/24", zone) for n, zone in ((1, "a"), (2, "c"))]
        self.application = self._subnet(self.vpc, "10.0.9.0/24", "a")
        self.other = self._subnet(self.other_vpc, "10.1.9.0/24", "a")
        self.group, self.guarded = (self._group(self.vpc, name) for name in ("application", "database"))
        self.stranger, self.other_group = self._group(self.vpc, "stranger"), self._group(self.other_vpc, "other")
        rds.create_db_subnet_group(
            DBSubnetGroupName="private", DBSubnetGroupDescription="two zones", SubnetIds=self.databases
        )
        self.cluster = create(rds, "guarded", 1, DBSubnetGroupName="private", VpcSecurityGroupIds=[self.guarded])

    def _subnet(self, vpc, block, zone):
        made = self.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=f"ap-northeast-1{zone}")
        return made["Subnet"]["SubnetId"]

    def _group(self, vpc, name):
        return self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]

    @property
    def host(self):
        return self.cluster["Endpoint"]

    def allow(self, *, group="", cidr="", ports=(5432, 5432), protocol="tcp"):
        """An inbound rule of the database's group; what undoes it is returned."""
        source = {"UserIdGroupPairs": [{"GroupId": group}]} if group else {"IpRanges": [{"CidrIp": cidr}]}
        rule = {"IpProtocol": protocol} | source
        if protocol != "-1":
            rule |= {"FromPort": ports[0], "ToPort": ports[1]}
        self.ec2.authorize_security_group_ingress(GroupId=self.guarded, IpPermissions=[rule])
        return lambda: self.ec2.revoke_security_group_ingress(GroupId=self.guarded, IpPermissions=[rule])

    def main_table(self, vpc):
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
        return self.ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"]

    def log_in(self, client="127.0.0.1"):
        """What becomes of a client that comes from that loopback address: "in", or "silence" after a second."""
        try:
            socket.create_connection((self.host, self.cluster["Port"]), timeout=1, source_address=(client, 0)).close()
            return self._greet(client)
        except TimeoutError:
            return "silence"

    def _greet(self, client):
        """Whether a server answers behind the accepted connection."""
        address = (self.host, self.cluster["Port"])
        with socket.create_connection(address, timeout=1, source_address=(client, 0)) as raw:
            raw.sendall((8).to_bytes(4) + (80877103).to_bytes(4))  # asks for TLS; yes and no are answers
            return "in" if raw.recv(1) in (b"S", b"N") else "cut"


@pytest.fixture(scope="module")
def world(aws):
    return World(aws("ec2"), aws("rds"))


@pytest.fixture
def network(sandbox):
    made = Network(sandbox)
    yield made
    made.clear()


@pytest.fixture
def undo():
    """What a test did to the module's world, undone in reverse."""
    steps = []
    yield steps
    for step in reversed(steps):
        step()


def test_who_was_not_placed_is_let_in(world, network):
    """No network rule applies to a client that was not placed."""
    assert ("in", []) == (soon("in", world.log_in), network.places())
    assert network.why(world.host).startswith("passes: this client was not placed")


def test_no_rule_means_silence_and_never_refused(world, network):
    """As in AWS, where a dropped packet is answered by nobody; psql gives up at its own timeout."""
    network.place(subnet=world.application, security_groups=[world.group])

    assert "silence" == world.log_in()
    with pytest.raises(psycopg.OperationalError, match="timeout expired"):
        psycopg.connect(
            host=world.host, port=world.cluster["Port"], user="postgres", password=PASSWORD, connect_timeout=2
        )
    assert f"blocked: no inbound rule of {world.guarded} lets tcp 5432 in from 10.0.9.20 in {world.group}; they let in no source" == (
        network.why(world.host)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ({"group": "group"}, "in"),
        ({"group": "stranger"}, "silence"),
        ({"cidr": "10.0.9.0/24"}, "in"),
        ({"cidr": "10.0.8.0/24"}, "silence"),
        ({"cidr": "10.0.9.0/24", "ports": (5433, 6000)}, "silence"),
        ({"cidr": "10.0.9.0/24", "ports": (5000, 6000)}, "in"),
        ({"cidr": "10.0.9.0/24", "protocol": "udp"}, "silence"),
        ({"cidr": "10.0.0.0/8", "protocol": "-1"}, "in"),
    ],
    ids=["its group", "another group", "its block", "another block", "other ports", "a range", "udp", "all"],
)
def test_an_inbound_rule_counts_by_source_port_and_protocol(world, network, undo, rule, outcome):
    network.place(subnet=world.application, security_groups=[world.group])
    change = {"group": getattr(world, rule["group"])} if "group" in rule else {}
    undo.append(world.allow(**rule | change))

    assert outcome == soon(outcome, world.log_in)  # the proxy looks ten times a second
    assert network.why(world.host).startswith("passes: rule sgr-" if outcome == "in" else "blocked: no inbound rule")


def test_a_rule_that_comes_lets_in_at_once_and_one_that_goes_spares_who_is_in(world, network):
    """A security group remembers connections."""
    network.place(subnet=world.application, security_groups=[world.group])
    restart_clusters = world.allow(group=world.group)
    with psycopg.connect(
        host=world.host, port=world.cluster["Port"], user="postgres", password=PASSWORD, connect_timeout=10, dbname="postgres"
    ) as held:  # fmt: skip
        restart_clusters()

        assert "silence" == world.log_in()
        assert (1,) == held.execute("SELECT 1").fetchone()


def test_an_outbound_rule_that_is_missing_stops_the_client(world, network, undo):
    undo.append(world.allow(group=world.group))
    network.place(subnet=world.application, security_groups=[world.group])
    everything = {"GroupId": world.group, "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}  # fmt: skip
    world.ec2.revoke_security_group_egress(**everything)
    undo.append(lambda: world.ec2.authorize_security_group_egress(**everything))

    assert "silence" == world.log_in()
    assert f"blocked: no outbound rule of {world.group} lets tcp 5432 out" in network.why(world.host)


@pytest.mark.parametrize(
    ("egress", "ports", "words"),
    [(False, (5432, 5432), "denies tcp 5432 from 10.0.9.20"), (True, (1024, 65535), "denies its answers")],
    ids=["inbound", "answers"],
)
def test_a_network_acl_stops_what_a_security_group_lets_in(world, network, undo, egress, ports, words):
    """It remembers nothing, so the answers count too."""
    undo.append(world.allow(group=world.group))
    network.place(subnet=world.application, security_groups=[world.group])
    filters = [{"Name": "association.subnet-id", "Values": [world.databases[0]]}]
    acl = world.ec2.describe_network_acls(Filters=filters)["NetworkAcls"][0]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "RuleNumber": 50, "Egress": egress}
    world.ec2.create_network_acl_entry(
        **entry, Protocol="6", RuleAction="deny", CidrBlock="10.0.9.0/24", PortRange={"From": ports[0], "To": ports[1]}
    )
    undo.append(lambda: world.ec2.delete_network_acl_entry(**entry))

    assert "silence" == world.log_in()
    why = network.why(world.host)
    assert ("blocked: ", True, True) == (why[:9], f"bound rule 50 of {acl}" in why, words in why)


def test_another_vpc_needs_a_peering_connection_and_routes_on_both_sides(world, network, undo):
    """Each step of the way is named until it is there; then the security group decides, by address."""
    undo.append(world.allow(cidr="10.1.9.0/24"))
    network.place(subnet=world.other, security_groups=[world.other_group])
    assert f"has no route to {'10.0.1.10'}" in network.why(world.host)
    assert "silence" == world.log_in()

    made = world.ec2.create_vpc_peering_connection(VpcId=world.other_vpc, PeerVpcId=world.vpc)
    peering = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    there = {"RouteTableId": world.main_table(world.other_vpc), "DestinationCidrBlock": "10.0.0.0/16"}
    back = {"RouteTableId": world.main_table(world.vpc), "DestinationCidrBlock": "10.1.0.0/16"}
    world.ec2.create_route(**there, VpcPeeringConnectionId=peering)
    undo.append(lambda: world.ec2.delete_route(**there))
    assert f"{peering} is pending-acceptance, not active: accept it" in network.why(world.host)

    world.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    assert f"has no route back to 10.1.9.20 by {peering}" in network.why(world.host)

    world.ec2.create_route(**back, VpcPeeringConnectionId=peering)
    undo.append(lambda: world.ec2.delete_route(**back))
    assert "in" == soon("in", world.log_in)


def test_the_internet_needs_a_public_instance_a_gateway_and_a_rule(world, network, undo, aws):
    undo.append(world.allow(cidr="8.8.8.0/24"))
    network.place(address=INTERNET)
    assert "is not PubliclyAccessible" in network.why(world.host)
    assert "silence" == world.log_in()

    world.rds.create_db_instance(
        DBInstanceIdentifier="public", DBClusterIdentifier="guarded", PubliclyAccessible=True, **INSTANCE
    )
    undo.append(lambda: world.rds.delete_db_instance(DBInstanceIdentifier="public", SkipFinalSnapshot=True))
    public = world.rds.describe_db_instances(DBInstanceIdentifier="public")["DBInstances"][0]["Endpoint"]["Address"]
    assert "has no route to an internet gateway" in network.why(public)

    gateway = world.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    world.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=world.vpc)
    route = {"RouteTableId": world.main_table(world.vpc), "DestinationCidrBlock": "0.0.0.0/0"}
    world.ec2.create_route(**route, GatewayId=gateway)
    undo.append(lambda: world.ec2.delete_route(**route))
    assert network.why(public).startswith("passes: rule sgr-")
    assert "is not PubliclyAccessible" in network.why(world.host)
    network.place(address="1.1.1.1")
    assert "no inbound rule" in network.why(public)


def test_two_clients_of_one_test_stand_in_different_places(world, network, undo):
    """Told apart by the loopback address that they connect from."""
    undo.append(world.allow(group=world.group))
    network.place(client=OTHER_CLIENT, subnet=world.application, security_groups=[world.group])
    network.place(subnet=world.application, security_groups=[world.stranger])

    assert "in" == soon("in", lambda: world.log_in(OTHER_CLIENT))
    assert "accepted, and silence" == accepted(world)
    assert ("passes", "blocked") == (network.why(world.host, OTHER_CLIENT)[:6], network.why(world.host)[:7])


def accepted(world):
    """While one client is let in, the endpoint listens, and leaves others without an answer after it accepted them."""
    with socket.create_connection((world.host, world.cluster["Port"]), timeout=5) as raw:
        raw.settimeout(1)
        raw.sendall((8).to_bytes(4) + (80877103).to_bytes(4))
        try:
            return f"answered {raw.recv(1)!r}"
        except TimeoutError:
            return "accepted, and silence"


def test_replication_and_the_sandbox_itself_are_not_subject_to_it(world, network, undo):
    """A reader that is made while nobody gets through still follows its writer."""
    network.place(address=OUTSIDE)
    world.rds.create_db_instance(DBInstanceIdentifier="reader", DBClusterIdentifier="guarded", **INSTANCE)
    undo.append(lambda: world.rds.delete_db_instance(DBInstanceIdentifier="reader", SkipFinalSnapshot=True))
    assert "silence" == world.log_in()
    network.clear()

    reader = {"Endpoint": world.cluster["ReaderEndpoint"], "Port": world.cluster["Port"]}
    with psycopg.connect(
        host=reader["Endpoint"], port=reader["Port"], user="postgres", password=PASSWORD, dbname="postgres", connect_timeout=5
    ) as one:  # fmt: skip
        assert (True,) == one.execute("SELECT pg_is_in_recovery()").fetchone()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({}, "name a subnet"),
        ({"security_groups": ["sg-1"]}, "name a subnet"),
        ({"subnet": "subnet-none"}, "does not exist"),
        ({"address": "everywhere"}, "no IPv4 address"),
        ({"address": OUTSIDE, "client": "10.0.0.1"}, "127.0.0.0/8"),
    ],
)
def test_a_place_that_cannot_be_is_refused(network, place, words):
    """It would block for the wrong reason."""
    with pytest.raises(InputError, match=words):
        network.place(**place)
    assert [] == network.places()


def test_a_group_of_another_vpc_and_an_unknown_endpoint_are_refused(world, network):
    with pytest.raises(InputError, match="is no security group of"):
        network.place(subnet=world.application, security_groups=[world.other_group])
    with pytest.raises(InputError, match="no cluster of this sandbox has the endpoint"):
        network.why("127.1.1.1")
