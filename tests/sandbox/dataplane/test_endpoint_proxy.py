"""Endpoints as a network of their own: where each leads to, and that nobody restarts for it. Plain boto3 and psycopg."""

import secrets
import shutil
import socket
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
from common import INSTANCE, PASSWORD, connect, create, describe, soon

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.client import state
from aurora_ops.sandbox.dataplane import plane as dataplane
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.server import ServerError, can_bind, free_port

STARTED = "SELECT pg_postmaster_start_time()"
WHO = "SELECT inet_server_addr()::text, pg_is_in_recovery()"


@pytest.fixture(scope="module")
def rds(aws):
    return aws("rds")


@pytest.fixture
def make(rds):
    """A cluster with so many instances, `<name>-1` the writer; deleted at the end, whatever became of it."""
    made = []

    def make(instances=1, **change):
        made.append(f"f{secrets.token_hex(3)}")
        return create(rds, made[-1], instances, **change)

    yield make
    for name in made:
        for member in describe(rds, name)["DBClusterMembers"]:
            rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def ask(cluster, statement, endpoint="Endpoint", **change):
    with connect(cluster, endpoint, **change) as connection:
        return connection.execute(statement).fetchone()


def name_of(cluster, number):
    return f"{cluster['DBClusterIdentifier']}-{number}"


def address(rds, cluster, number):
    found = rds.describe_db_instances(DBInstanceIdentifier=name_of(cluster, number))
    return found["DBInstances"][0]["Endpoint"]["Address"]


def test_the_reader_endpoint_leads_to_all_readers_in_turn(rds, make):
    cluster = make(3)
    servers = [ask(cluster, WHO, "ReaderEndpoint") for _ in range(4)]

    assert [True] * 4 == [standby for _, standby in servers]
    assert servers[:2] == servers[2:]
    assert 2 == len(set(servers))


def test_the_first_reader_and_the_last_one_restart_nobody(rds, make):
    """The reader endpoint leads to the writer, to the reader once there is one, and to the writer again at once."""
    cluster = make(1)
    with connect(cluster) as held:
        started = held.execute(STARTED).fetchone()
        assert not ask(cluster, WHO, "ReaderEndpoint")[1]

        reader = name_of(cluster, 2)
        rds.create_db_instance(
            DBInstanceIdentifier=reader, DBClusterIdentifier=cluster["DBClusterIdentifier"], **INSTANCE
        )
        assert ask(cluster, WHO, "ReaderEndpoint")[1]

        rds.delete_db_instance(DBInstanceIdentifier=reader, SkipFinalSnapshot=True)
        assert not ask(cluster, WHO, "ReaderEndpoint")[1]
        assert started == held.execute(STARTED).fetchone()


def test_a_promoted_server_and_bystanders_do_not_restart(rds, make):
    cluster = make(3)
    before = {number: ask(cluster, STARTED, host=address(rds, cluster, number)) for number in (2, 3)}

    rds.failover_db_cluster(
        DBClusterIdentifier=cluster["DBClusterIdentifier"], TargetDBInstanceIdentifier=name_of(cluster, 2)
    )

    assert before == {number: ask(cluster, STARTED, host=address(rds, cluster, number)) for number in (2, 3)}
    assert not ask(cluster, WHO)[1]


def test_a_failover_cuts_the_connections_of_both_writers_and_of_no_bystander(rds, make):
    """A client that went on writing to the old writer, or thought that it still reads from a reader, would be misled."""
    cluster = make(3)
    old, new, bystander = (connect(cluster, host=address(rds, cluster, number)) for number in (1, 2, 3))

    rds.failover_db_cluster(
        DBClusterIdentifier=cluster["DBClusterIdentifier"], TargetDBInstanceIdentifier=name_of(cluster, 2)
    )

    for cut in (old, new):
        with pytest.raises(psycopg.OperationalError):
            cut.execute("SELECT 1")
    assert (1,) == bystander.execute("SELECT 1").fetchone()
    bystander.close()


def test_the_server_sees_the_clients_own_address(rds, make):
    """As its log tells: client_addr is what clients are told apart by."""
    cluster = make(1)
    client = ("127.9.8.7", 0)
    with socket.create_connection((cluster["Endpoint"], cluster["Port"]), timeout=5, source_address=client) as raw:
        raw.sendall(bytes((0, 0, 0, 8, 0, 9, 0, 0)))  # a start-up packet of a protocol that does not exist
        assert b"unsupported frontend protocol 9.0" in raw.recv(4096)

    instance = name_of(cluster, 1)
    file = rds.describe_db_log_files(DBInstanceIdentifier=instance)["DescribeDBLogFiles"][0]["LogFileName"]
    log = rds.download_db_log_file_portion(DBInstanceIdentifier=instance, LogFileName=file)["LogFileData"]
    assert [client[0]] == [
        line.split("UTC:")[1].split("(")[0] for line in log.splitlines() if "unsupported frontend" in line
    ]


def test_an_endpoint_without_a_server_refuses(rds, make):
    """Before the first instance, while the cluster is stopped, and after the last instance is gone."""
    cluster = make(0)
    assert "refused" == attempt(cluster)
    instance = name_of(cluster, 1)
    rds.create_db_instance(
        DBInstanceIdentifier=instance, DBClusterIdentifier=cluster["DBClusterIdentifier"], **INSTANCE
    )
    assert "open" == attempt(cluster)
    rds.stop_db_cluster(DBClusterIdentifier=cluster["DBClusterIdentifier"])
    assert "refused" == attempt(cluster)
    rds.start_db_cluster(DBClusterIdentifier=cluster["DBClusterIdentifier"])
    assert "open" == attempt(cluster)
    rds.delete_db_instance(DBInstanceIdentifier=instance, SkipFinalSnapshot=True)
    assert "refused" == attempt(cluster)


def attempt(cluster, host=None):
    try:
        socket.create_connection((host or cluster["Endpoint"], cluster["Port"]), timeout=5).close()
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:  # it came while the endpoint was closing
        return "cut"
    return "open"


def test_a_stop_cuts_connections(rds, make):
    cluster = make(1)
    held = connect(cluster)

    rds.stop_db_cluster(DBClusterIdentifier=cluster["DBClusterIdentifier"])

    with pytest.raises(psycopg.OperationalError):
        held.execute("SELECT 1")
    rds.start_db_cluster(DBClusterIdentifier=cluster["DBClusterIdentifier"])


def test_the_certificate_fits_an_instance_that_came_later(rds, make, sandbox):
    """Servers that already run carry the names of endpoints that do not exist yet."""
    if "TLS" in programs.find().missing:
        pytest.skip("the PostgreSQL programs were built without TLS")
    cluster = make(2)
    tls = {"sslmode": "verify-full", "sslrootcert": sandbox.variables["PGSSLROOTCERT"]}
    rds.create_db_instance(
        DBInstanceIdentifier=name_of(cluster, 3), DBClusterIdentifier=cluster["DBClusterIdentifier"], **INSTANCE
    )
    hosts = [cluster["Endpoint"], cluster["ReaderEndpoint"], *(address(rds, cluster, number) for number in (1, 2, 3))]

    encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert [(True,)] * 5 == [ask(cluster, encrypted, host=host, **tls) for host in hosts]


def test_large_results_arrive_whole_at_a_slow_client(make):
    """More than any buffer holds, in both directions; the client reads after a while."""
    cluster = make(1)
    size = 32 * 2**20
    with connect(cluster) as connection:
        connection.execute("CREATE TABLE big (content text)")
        with connection.cursor().copy("COPY big FROM STDIN") as copy:
            for _ in range(32):
                copy.write("x" * 2**20 + "\n")
        with connection.cursor() as cursor, cursor.copy("COPY big TO STDOUT") as copy:
            time.sleep(0.5)
            received = sum(len(block) for block in copy)

    assert size + 32 == received


def test_a_cluster_that_is_deleted_leaves_no_address_behind(rds, make):
    cluster = make(1)
    name = cluster["DBClusterIdentifier"]
    rds.delete_db_instance(DBInstanceIdentifier=name_of(cluster, 1), SkipFinalSnapshot=True)

    with socket.socket() as other:
        other.bind((cluster["Endpoint"], cluster["Port"]))
        other.listen()
        assert "open" == attempt(cluster)
    assert "available" == soon("available", lambda: describe(rds, name)["Status"])


def messages(rds, kind, name):
    return [one["Message"] for one in rds.describe_events(SourceType=kind, SourceIdentifier=name)["Events"]]


def test_a_server_that_crashes_refuses_and_comes_back_by_itself(rds, make, faults):
    """kill -9: connections are cut, nothing that was committed is lost, and AWS's own recovery writes an event."""
    cluster = make(1)
    name = name_of(cluster, 1)
    held = connect(cluster)
    held.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    faults.drop_server(name, seconds=2)

    with pytest.raises(psycopg.OperationalError):
        held.execute("SELECT 1")
    assert "refused" == attempt(cluster)
    assert "open" == soon("open", lambda: attempt(cluster))
    restarted = "DB instance restarted."
    assert restarted == soon(restarted, lambda: messages(rds, "db-instance", name)[-1])
    assert (42,) == ask(cluster, "SELECT answer FROM kept")


def test_a_writer_that_crashes_and_has_a_reader_is_failed_over(rds, make, faults):
    """The reader takes over with all that was committed, and the old writer comes back as a reader."""
    cluster = make(2)
    name, (old, new) = cluster["DBClusterIdentifier"], (name_of(cluster, number) for number in (1, 2))
    with connect(cluster) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    faults.drop_server(old, seconds=1)

    def writers():
        members = describe(rds, name)["DBClusterMembers"]
        return [one["DBInstanceIdentifier"] for one in members if one["IsClusterWriter"]]

    assert [new] == soon([new], writers)
    completed = f"Completed failover to DB instance: {new}"
    assert completed == soon(completed, lambda: messages(rds, "db-cluster", name)[-1])
    assert (42,) == ask(cluster, "SELECT answer FROM kept")
    assert (True,) == ask(cluster, "SELECT pg_is_in_recovery()", host=address(rds, cluster, 1))


def test_a_reader_that_crashes_leaves_the_reader_endpoint_to_the_other(rds, make, faults):
    cluster = make(3)

    faults.drop_server(name_of(cluster, 2), seconds=4)

    assert "refused" == soon("refused", lambda: attempt(cluster, address(rds, cluster, 2)), 3)
    assert [True] * 3 == [ask(cluster, WHO, "ReaderEndpoint")[1] for _ in range(3)]
    assert "open" == soon("open", lambda: attempt(cluster, address(rds, cluster, 2)))


def test_faults_on_what_does_not_exist_are_refused(faults):
    """They would prove nothing."""
    with pytest.raises(InputError, match="no instance of that name"):
        faults.drop_server("nobody")
    with pytest.raises(InputError, match="seconds"):
        faults.drop_server("nobody", seconds=-1)
    with pytest.raises(InputError, match="no cluster of this sandbox has that endpoint"):
        faults.steal_address("127.1.1.1")


def test_an_endpoint_whose_address_was_stolen_gets_another(rds, make, faults, sandbox):
    """The cluster comes back beside the thief, under the same certificate; what is not stolen stays."""
    cluster = make(2)
    name, instance = cluster["DBClusterIdentifier"], address(rds, cluster, 1)
    faults.steal_address(cluster["Endpoint"])
    faults.steal_address(instance)
    assert (1,) == ask(cluster, "SELECT 1")

    rds.stop_db_cluster(DBClusterIdentifier=name)
    rds.start_db_cluster(DBClusterIdentifier=name)

    after = describe(rds, name)
    assert cluster["Endpoint"] != after["Endpoint"]
    assert instance != address(rds, cluster, 1)
    assert (cluster["ReaderEndpoint"], cluster["Port"]) == (after["ReaderEndpoint"], after["Port"])
    tls = {"sslmode": "verify-full", "sslrootcert": sandbox.variables["PGSSLROOTCERT"]} if sandbox.ca_bundle else {}
    for host in (after["Endpoint"], address(rds, cluster, 1)):
        assert (False,) == ask(after, "SELECT pg_is_in_recovery()", host=host, **tls)
    with pytest.raises(psycopg.OperationalError):
        connect(cluster, connect_timeout=2)


def test_an_address_that_a_program_of_this_machine_took_is_no_hindrance(rds, make):
    """Between the cluster's creation and its first instance nobody listens there."""
    cluster = make(0)
    with socket.socket() as thief:
        thief.bind((cluster["Endpoint"], cluster["Port"]))
        thief.listen()
        rds.create_db_instance(
            DBInstanceIdentifier=name_of(cluster, 1), DBClusterIdentifier=cluster["DBClusterIdentifier"], **INSTANCE
        )

        assert (1,) == ask(describe(rds, cluster["DBClusterIdentifier"]), "SELECT 1")


def test_where_only_one_address_exists_there_is_one_instance(monkeypatch):
    """As on macOS: all endpoints are 127.0.0.1, and a reader is refused with the reason."""
    monkeypatch.setattr(dataplane, "can_bind", lambda host, port: host == "127.0.0.1" and can_bind(host, port))
    directory = Path(tempfile.mkdtemp(prefix="test-", dir=state.passable(state.root_directory() / "tests")))
    directory.chmod(0o711)
    plane = dataplane.DataPlane(programs.find(), directory)
    try:
        hosts, port = plane.allocate(free_port("127.0.0.1"))
        plane.clusters["cluster-1"] = ClusterData(
            "one", directory / "cluster-1", "postgres", "postgres", PASSWORD, hosts, port, 0.5, 1, plane.authority
        )
        plane.add_instance("cluster-1", "one-1")

        assert ("127.0.0.1", "127.0.0.1") == hosts
        endpoint = {"Endpoint": hosts[0], "ReaderEndpoint": hosts[1], "Port": port}
        assert [False, False] == [ask(endpoint, WHO, name)[1] for name in ("Endpoint", "ReaderEndpoint")]
        with pytest.raises(ServerError, match="run with one instance"):
            plane.add_instance("cluster-1", "one-2")
        plane.stop_cluster("cluster-1")
        with socket.create_server((hosts[0], port)), pytest.raises(ServerError, match="End that program"):
            plane.start_cluster("cluster-1")
        plane.start_cluster("cluster-1")
        plane.restart("cluster-1", "one-1")
        assert (1,) == ask(endpoint, "SELECT 1")
    finally:
        plane.stop(immediate=True)
        shutil.rmtree(directory)
