"""Why a client cannot connect: each cause is made in the sandbox, and is the first finding, with its evidence and what mends it."""

import contextlib
import json
import os
import re
import socket
import struct
import threading
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from ipaddress import IPv4Address

import certifi
import pytest
from common import CLUSTER, INSTANCE, PASSWORD, connect, create, describe, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose.connection import client, procedure, server_log
from aurora_ops.sandbox.availability.autopause import SCALE_VARIABLE
from aurora_ops.sandbox.client.faults import UNTIL_CLEARED, Faults
from aurora_ops.sandbox.client.network import Network
from aurora_ops.sandbox.dataplane import programs

NAME, EMPTY, SMALL, ASLEEP, DEAD = "orders", "orders-new", "orders-small", "orders-asleep", "orders-dead"
MOST = 14  # connections of the small one


class World:
    """A cluster with a reader in a VPC, an application's subnet beside it; one without an instance; one with few connections."""

    def __init__(self, aws, sandbox, faults):
        self.aws, self.sandbox, self.faults = aws, sandbox, faults
        self.ec2, self.rds, self.secrets = aws("ec2"), aws("rds"), aws("secretsmanager")
        self.vpc, other = (self.ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in (0, 1))
        subnets = [self._subnet(self.vpc, f"10.0.{n}.0/24", zone) for n, zone in ((1, "a"), (2, "c"))]
        self.application, self.elsewhere = (
            self._subnet(self.vpc, "10.0.9.0/24", "a"),
            self._subnet(other, "10.1.9.0/24", "a"),
        )
        self.group, self.guarded = self._group("application"), self._group("database")
        self.allow()
        self.rds.create_db_subnet_group(
            DBSubnetGroupName="private", DBSubnetGroupDescription="two zones", SubnetIds=subnets
        )
        self.cluster = create(
            self.rds, NAME, 2, DatabaseName="orders", DBSubnetGroupName="private", VpcSecurityGroupIds=[self.guarded],
            EnableIAMDatabaseAuthentication=True,
        )  # fmt: skip
        self.rds.create_db_cluster(DBClusterIdentifier=EMPTY, Engine="aurora-postgresql", MasterUsername="postgres",
            MasterUserPassword=PASSWORD, ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 1})  # fmt: skip
        self.secret("orders-master", username="postgres", password=PASSWORD)
        self.sql(
            "CREATE ROLE clerk LOGIN PASSWORD 'clerk-only-1'; CREATE ROLE app LOGIN; GRANT rds_iam TO app; GRANT ALL ON DATABASE orders TO app"
        )
        self.secret("clerk", username="clerk", password="clerk-only-1")

    @property
    def place(self):
        return f"{self.application},{self.group}"

    def _subnet(self, vpc, block, zone):
        made = self.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=f"ap-northeast-1{zone}")
        return made["Subnet"]["SubnetId"]

    def _group(self, name):
        return self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]

    @property
    def _rule(self):
        return {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 65535, "UserIdGroupPairs": [{"GroupId": self.group}]}

    def allow(self):
        self.ec2.authorize_security_group_ingress(GroupId=self.guarded, IpPermissions=[self._rule])

    def forbid(self):
        self.ec2.revoke_security_group_ingress(GroupId=self.guarded, IpPermissions=[self._rule])

    def secret(self, name, **content):
        return self.secrets.create_secret(Name=name, SecretString=json.dumps(content))["ARN"]

    def sql(self, *statements, user="postgres"):
        with connect(self.cluster, user=user) as connection:
            for statement in statements:
                connection.execute(statement)

    def diagnose(self, *, cluster=NAME, login="secret:orders-master", database="", session=None, **options):
        access = open_access(
            session or open_session(), cluster=cluster, database=database, login=login, without_instances=True
        )
        made = procedure.diagnose_connection_failure(access, timeout_seconds=2, **options)
        made.look()
        return made


@pytest.fixture(scope="module", autouse=True)
def fast():
    """An idle cluster pauses after 3 seconds in place of 300. Before the sandbox starts, which inherits it."""
    os.environ[SCALE_VARIABLE] = "0.01"
    yield
    del os.environ[SCALE_VARIABLE]


@pytest.fixture(scope="module")
def world(fast, aws, sandbox):
    return World(aws, sandbox, Faults(sandbox))


def iam(world):
    if programs.IAM in programs.find().missing:
        pytest.skip("the PostgreSQL programs have no IAM authentication")
    return world


@contextlib.contextmanager
def statement(world, do, undo):
    world.sql(do)
    try:
        yield {}
    finally:
        world.sql(undo)


@contextlib.contextmanager
def clerk(world, do, undo):
    with statement(world, do, undo):
        yield {"login": "secret:clerk"}


@contextlib.contextmanager
def iam_off(world):
    iam(world).rds.modify_db_cluster(
        DBClusterIdentifier=NAME, EnableIAMDatabaseAuthentication=False, ApplyImmediately=True
    )
    try:
        yield {"login": "iam:app"}
    finally:
        world.rds.modify_db_cluster(
            DBClusterIdentifier=NAME, EnableIAMDatabaseAuthentication=True, ApplyImmediately=True
        )


@contextlib.contextmanager
def status(world, identifier, word):
    world.faults.become(identifier, word)
    try:
        yield {}
    finally:
        world.faults.release(identifier)


@contextlib.contextmanager
def no_rule(world):
    world.forbid()
    try:
        yield {"client_at": world.place}
    finally:
        world.allow()


@contextlib.contextmanager
def denied_by_acl(world):
    acl = world.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [world.vpc]}])["NetworkAcls"][0][
        "NetworkAclId"
    ]
    entry = {"NetworkAclId": acl, "RuleNumber": 50, "Egress": False}
    world.ec2.create_network_acl_entry(
        **entry, Protocol="6", RuleAction="deny", CidrBlock="10.0.9.0/24", PortRange={"From": 5432, "To": 5440}
    )
    try:
        yield {"client_at": world.place}
    finally:
        world.ec2.delete_network_acl_entry(**entry)


@contextlib.contextmanager
def dropped(world):
    network = Network(world.sandbox)
    network.place(address="203.0.113.5")
    here = world.cluster["Endpoint"], world.cluster["Port"]
    soon(client.SILENT, lambda: client.reach(*here, 0.5).outcome)  # the endpoint falls silent a moment later
    try:
        yield {}
    finally:
        network.clear()


@contextlib.contextmanager
def unreadable(world):
    world.faults.fail("GetSecretValue", "AccessDeniedException", UNTIL_CLEARED, service="secretsmanager")
    try:
        yield {}
    finally:
        world.faults.clear()


@contextlib.contextmanager
def rotated(world):
    arn = world.secret("rotated", username="clerk", password="clerk-only-1")
    world.secrets.put_secret_value(SecretId=arn, SecretString='{"username": "clerk", "password": "not-set-yet"}')
    yield {"login": "secret:rotated"}


@contextlib.contextmanager
def expired_token(world):
    iam(world).faults.expire_tokens()
    try:
        yield {"login": "iam:app"}
    finally:
        world.faults.clear()


@contextlib.contextmanager
def secret(world, name, text):
    world.secrets.create_secret(Name=name, SecretString=text)
    yield {"login": f"secret:{name}"}


@contextlib.contextmanager
def full(world):
    """Every slot is taken by clients that have not logged in, as in a storm: nobody gets in, the superuser neither."""
    world.rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="few", DBParameterGroupFamily="aurora-postgresql15", Description="few"
    )
    world.rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName="few", Parameters=[
        {"ParameterName": "max_connections", "ParameterValue": str(MOST), "ApplyMethod": "pending-reboot"}])  # fmt: skip
    cluster = create(world.rds, SMALL, 1, DBClusterParameterGroupName="few")
    address = (cluster["Endpoint"], cluster["Port"])
    held = []
    try:
        with connect(cluster) as first:
            assert (str(MOST),) == first.execute("SHOW max_connections").fetchone()
        for _ in range(4 * MOST):
            held.append(socket.create_connection(address, 5))
            pairs = b"user\0postgres\0database\0postgres\0\0"
            held[-1].sendall(struct.pack("!II", len(pairs) + 8, 196608) + pairs)
        yield {"cluster": SMALL}
    finally:
        for one in held:
            one.close()


@contextlib.contextmanager
def asleep(world):
    """It pauses at 0 ACU; nothing connects to it meanwhile."""
    world.rds.create_db_cluster(
        DBClusterIdentifier=ASLEEP,
        **CLUSTER | {"ServerlessV2ScalingConfiguration": {"MinCapacity": 0, "MaxCapacity": 1}},
    )
    world.rds.create_db_instance(DBInstanceIdentifier=f"{ASLEEP}-1", DBClusterIdentifier=ASLEEP, **INSTANCE)
    asked = {"SourceType": "db-instance", "SourceIdentifier": f"{ASLEEP}-1"}
    assert soon(True, lambda: "paused" in world.rds.describe_events(**asked)["Events"][-1]["Message"])
    yield {"cluster": ASLEEP}


@contextlib.contextmanager
def dead(world):
    """Its server has crashed, and nothing takes over."""
    create(world.rds, DEAD)
    killing = threading.Thread(target=world.faults.drop_server, args=(f"{DEAD}-1",), kwargs={"seconds": 15})
    killing.start()
    host, port = (describe(world.rds, DEAD)[name] for name in ("Endpoint", "Port"))
    assert client.REFUSED == soon(client.REFUSED, lambda: client.reach(host, port, 2).outcome)
    yield {"cluster": DEAD}
    killing.join()


@contextlib.contextmanager
def wrong_clock(world):
    """AWS's answers bear another time than this machine's, by an hour."""
    session = iam(world) and open_session()

    def shift(parsed, **_):
        headers = parsed["ResponseMetadata"]["HTTPHeaders"]
        headers["date"] = format_datetime(parsedate_to_datetime(headers["date"]) - timedelta(hours=1), usegmt=True)

    session._boto.events.register("after-call.sts.GetCallerIdentity", shift)
    yield {"login": "iam:app", "session": session}


@contextlib.contextmanager
def closed_tunnel(world):
    with socket.socket() as taken:  # bound and not listening: nothing else gets this port meanwhile
        taken.bind(("127.0.0.1", 0))
        yield {"login": f"secret:clerk,host=127.0.0.1,port={taken.getsockname()[1]}"}


@contextlib.contextmanager
def given(_world, **options):
    yield options


CAUSES = {
    "the name has no address": (lambda w: given(w, address="orders.cluster-abc.invalid"), "name", "has no address here"),
    "an alias of the endpoint": (lambda w: given(w, address=str(int(IPv4Address(w.cluster["Endpoint"])))), "TLS", "other name"),
    "a tunnel that is not open": (closed_tunnel, "TCP", r"127\.0\.0\.1:\d+: connection refused"),
    "its server has crashed": (dead, "TCP", r"connection refused; its latest event: .+ UTC\)"),
    "paused": (asleep, "automatic pause", "orders-asleep-1 is paused since 20"),
    "a wrong clock": (wrong_clock, "IAM token", r"clock is 3\d{3} s ahead of AWS's"),
    "another port": (lambda w: given(w, address=f"{w.cluster['Endpoint']}:5999"), "address", "asks port 5999, and orders listens on"),
    "another cluster's address": (lambda w: given(w, address=describe(w.rds, EMPTY)["Endpoint"]), "address", "but of cluster orders-new"),
    "no instance": (lambda w: given(w, cluster=EMPTY), "instance status", "has no instance"),
    "no rule of the security group": (no_rule, "network path", r"no inbound rule of sg-\w+ lets tcp \d+ in from 10.0.9.0/24 in sg-\w+; it lets in no source"),
    "the network ACL": (denied_by_acl, "network path", "inbound rule 50 of acl-"),
    "another VPC without a route": (lambda w: given(w, client_at=w.elsewhere), "network path", "has no route to 10.0.1"),
    "outside of the VPC": (lambda w: given(w, client_at="203.0.113.5"), "network path", "has a private address only"),
    "packets are dropped": (dropped, "TCP", "no answer within 2 s"),
    "stopped": (lambda w: status(w, NAME, "stopped"), "cluster status", "orders is stopped"),
    "failing over": (lambda w: status(w, NAME, "failing-over"), "cluster status", "orders is failing-over"),
    "the key is off": (lambda w: status(w, NAME, "inaccessible-encryption-credentials"), "cluster status", "inaccessible-encryption"),
    "storage is full": (lambda w: status(w, "orders-1", "storage-full"), "instance status", "orders-1 is storage-full"),
    "rebooting": (lambda w: status(w, "orders-1", "rebooting"), "instance status", "orders-1 is rebooting"),
    "another authority": (lambda w: given(w, ca_file=certifi.where()), "TLS", "unknown authority"),
    "no file of authorities": (lambda w: given(w, ca_file="/nowhere/global-bundle.pem"), "TLS", "no authorities: /nowhere/global-bundle.pem"),
    "no such secret": (lambda w: given(w, login="secret:none"), "login", "it does not exist"),
    "JSON without a password": (lambda w: secret(w, "hollow", '{"user": "clerk"}'), "login", 'it is JSON without "password"'),
    "a secret that may not be read": (unreadable, "login", "may not be read"),
    "a rotation that stopped half-way": (rotated, "login", "the secret was rotated and the role's password was not"),
    "a wrong password": (lambda w: secret(w, "wrong", '{"username": "clerk", "password": "no"}'), "login", "the password is not that of role clerk"),
    "a role that is not there": (lambda w: secret(w, "lost", '{"username": "ghost", "password": "no"}'), "role", 'Role "ghost" does not exist'),
    "IAM is off": (iam_off, "IAM token", "IAM authentication is off for orders"),
    "rds_iam is not granted": (lambda w: given(iam(w), login="iam:clerk"), "IAM token", "has not been granted rds_iam"),
    "a token that is not accepted": (expired_token, "IAM token", "authentication failed"),
    "no such database": (lambda w: given(w, database="ordres"), "database", "has no database ordres; it has orders, postgres"),
    "NOLOGIN": (lambda w: clerk(w, "ALTER ROLE clerk NOLOGIN", "ALTER ROLE clerk LOGIN"), "role", "not permitted to log in"),
    "an expired password": (lambda w: clerk(w, "ALTER ROLE clerk VALID UNTIL '2020-01-01'", "ALTER ROLE clerk VALID UNTIL 'infinity'"), "role", "expired password"),
    "no right to connect": (lambda w: clerk(w, "REVOKE CONNECT ON DATABASE orders FROM PUBLIC", "GRANT CONNECT ON DATABASE orders TO PUBLIC"), "role", "User does not have CONNECT privilege"),
    "the role's limit": (lambda w: clerk(w, "ALTER ROLE clerk CONNECTION LIMIT 0", "ALTER ROLE clerk CONNECTION LIMIT -1"), "connection limit", "too many connections for role"),
    "max_connections": (full, "connections", "too many clients already"),
    "a reader's endpoint for writes": (lambda w: given(w, address=w.cluster["ReaderEndpoint"]), "endpoint for writes", "leads to a reader"),
    "sessions that begin read-only": (lambda w: clerk(w, "ALTER ROLE clerk SET default_transaction_read_only = on", "ALTER ROLE clerk RESET ALL"), "endpoint for writes", "sessions begin read-only"),
}  # fmt: skip
SLOW = {
    "its server has crashed",
    "paused",
    "max_connections",
    "packets are dropped",
    "another VPC without a route",
    "the key is off",
    "rebooting",
    "the role's limit",
    "a wrong password",
}


@pytest.mark.parametrize(
    "cause", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CAUSES]
)
def test_each_cause_is_the_first_finding_with_what_mends_it(world, cause):
    made, where, words = CAUSES[cause]
    with made(world) as options:
        diagnosed = world.diagnose(**options)

    first = diagnosed.findings().rows[0]
    assert where == first[0], [(look.name, look.verdict, look.detail) for look in diagnosed.looks]
    assert first[2]
    assert re.search(words, first[1]), first[1]


def test_a_healthy_cluster_has_no_finding_and_says_what_was_looked_at(world):
    """From the application's subnet, for writes: every look passes, and the log is read."""
    diagnosed = world.diagnose(client_at=world.place)

    assert {"findings": []} == diagnosed.result()
    assert {"PASS"} == {look.verdict for look in diagnosed.looks}
    assert "Nothing stands in the way, of 13 things that were looked at." == repr(diagnosed.findings())


def test_what_was_not_looked_at_is_named(world):
    """Where the client is was not said, and it only reads."""
    diagnosed = world.diagnose(writes=False)

    assert repr(diagnosed.bottom_line()).endswith("Not looked at: network path, endpoint for writes.")
    assert "PASS" == diagnosed.verify().verdict


def test_what_may_not_be_asked_is_skipped_with_the_right_that_lacks(world):
    """The other looks go on."""
    world.faults.fail("DescribeSecurityGroups", "UnauthorizedOperation", UNTIL_CLEARED, service="ec2")
    world.faults.fail("DescribeDBLogFiles", "AccessDenied", UNTIL_CLEARED)
    try:
        diagnosed = world.diagnose(client_at=world.place)
    finally:
        world.faults.clear()

    left = {look.name: look.detail for look in diagnosed.looks if look.verdict == "SKIP"}
    assert ["network path", "PostgreSQL log"] == list(left)
    assert "may not call ec2:DescribeSecurityGroups" in left["network path"]


@pytest.mark.parametrize("place", ["the office", "sg-1", "subnet-1,subnet-2"])
def test_what_is_no_place_of_a_client_is_refused(world, place):
    with pytest.raises(InputError, match="is no place of a client"):
        world.diagnose(client_at=place)


def test_the_reasons_in_a_log_are_those_of_failed_logins():
    lines = [
        '2026-11-27 14:59:14 UTC:10.0.0.1(3):app@shop:[53]:FATAL:  password authentication failed for user "app"',
        '2026-11-27 14:59:14 UTC:10.0.0.1(3):app@shop:[53]:DETAIL:  Connection matched pg_hba.conf line 5: "host all all"',
        "2026-11-27 14:59:15 UTC:10.0.0.1(3):app@shop:[53]:LOG:  duration: 17 s",
    ]

    assert ['password authentication failed for user "app"'] == server_log.refusals(lines)
    assert [] == server_log.refusals(lines, "other")
