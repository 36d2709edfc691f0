"""One sandbox process: found again, never doubled, never leaking, and clear about what it cannot do."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from common import HANG, client_of

from aurora_ops.sandbox.client import lifecycle, processes, state
from aurora_ops.sandbox.client.state import HOME_VARIABLE, StateError
from aurora_ops.sandbox.dataplane.programs import PROGRAMS_VARIABLE, ProgramsError, find

CLUSTER = {
    "DBClusterIdentifier": "one", "Engine": "aurora-postgresql", "MasterUsername": "postgres", "MasterUserPassword": "throw-away-1",
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 1},
}  # fmt: skip
INSTANCE = {
    "DBInstanceIdentifier": "one-1",
    "DBClusterIdentifier": "one",
    "DBInstanceClass": "db.serverless",
    "Engine": "aurora-postgresql",
}


def postmaster(running):
    """The pid of the only server of a sandbox."""
    (path,) = Path(running.directory).glob("servers/*/*/data/postmaster.pid")
    return int(path.read_text().split()[0])


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid, seconds=HANG):
    """Whether the process ends within some seconds."""
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_alive(pid)


def test_it_is_started_once_and_found_again(name):
    assert lifecycle.start(name) == lifecycle.start(name)


def test_two_simultaneous_starts_yield_one_sandbox(name):
    code = f"from aurora_ops.sandbox.client import lifecycle; print(lifecycle.start({name!r}).pid)"
    with ThreadPoolExecutor() as pool:
        pids = list(
            pool.map(
                lambda _: (
                    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
                ),
                range(2),
            )
        )

    assert pids[0] == pids[1]


def test_one_sandbox_is_started_and_ended_while_another_one_is(name):
    """Only those of the same name wait for each other, and no lock is left behind."""
    other = f"{name}-other"
    with lifecycle._locked(name), ThreadPoolExecutor() as pool:
        started = pool.submit(lifecycle.start, other)
        try:
            assert other == started.result(HANG).name
        finally:
            assert pool.submit(lifecycle.remove, other).result(HANG)

    assert [] == [*state.sandbox_directory(name).parent.glob(f".{name}*")]


def test_of_many_that_start_or_stop_a_sandbox_one_is_at_work(name):
    """Also those that waited for a lock that its holder has taken away meanwhile."""
    inside = []

    def at_work():
        with lifecycle._locked(name):
            inside.append(name)
            alone = 1 == len(inside)
            time.sleep(0.001)
            inside.pop()
            return alone

    with ThreadPoolExecutor(8) as pool:
        assert [True] * 200 == list(pool.map(lambda _: at_work(), range(200)))


def test_stop_leaves_no_process_and_remove_no_folder(name):
    running = lifecycle.start(name)
    client_of(running).create_db_cluster(**CLUSTER)
    client_of(running).create_db_instance(**INSTANCE)
    database = postmaster(running)

    assert lifecycle.stop(name)

    assert (True, True) == (gone(running.pid), gone(database))
    assert lifecycle.status(name) is None
    assert not lifecycle.stop(name)
    assert lifecycle.remove(name)
    assert not Path(running.directory).exists()
    assert not lifecycle.remove(name)


def test_after_kill_9_the_next_start_ends_its_orphans_and_nobody_elses(name):
    """The orphan is known by the data directory that it serves, not by its pid."""
    other = f"{name}-other"
    try:
        mine, theirs = lifecycle.start(name), lifecycle.start(other)
        for running in (mine, theirs):
            client_of(running).create_db_cluster(**CLUSTER)
            client_of(running).create_db_instance(**INSTANCE)
        orphan, neighbour = postmaster(mine), postmaster(theirs)
        os.kill(mine.pid, signal.SIGKILL)
        assert (True, True) == (gone(mine.pid), is_alive(orphan))

        again = lifecycle.start(name)

        assert (True, True) == (gone(orphan), is_alive(neighbour))
        assert ["one"] == [one["DBClusterIdentifier"] for one in client_of(again).describe_db_clusters()["DBClusters"]]
        assert "had been killed" in again.note
    finally:
        lifecycle.remove(other)


def test_a_pid_that_another_process_has_now_is_left_alone(tmp_path):
    """A stale postmaster.pid names a process that serves no data directory of ours."""
    (tmp_path / "writer" / "data").mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        try:
            (tmp_path / "writer" / "data" / "postmaster.pid").write_text(f"{stranger.pid}\n")

            assert (0, None) == (processes.end_orphans(tmp_path), stranger.poll())
        finally:
            stranger.kill()


def test_a_private_sandbox_ends_with_its_owner():
    """`AURORA_OPS_SANDBOX=fresh` gives a kernel one of its own."""
    code = "from aurora_ops.sandbox.client import lifecycle; s = lifecycle.start(); print(s.pid, s.directory)"
    environment = os.environ | {"AURORA_OPS_SANDBOX": "fresh"}

    pid, directory = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()

    assert gone(int(pid))
    assert not Path(directory).exists()


def test_a_port_in_use_is_no_obstacle(name):
    """Another program listens on the wanted port of every address: the cluster gets another port and shows it."""
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        (_, port) = taken.getsockname()
        client = client_of(lifecycle.start(name))

        client.create_db_cluster(**CLUSTER, Port=port)
        client.create_db_instance(**INSTANCE)

        assert port != client.describe_db_clusters()["DBClusters"][0]["Port"]


def test_no_postgresql_anywhere_is_said_and_nothing_is_left(name, monkeypatch, tmp_path):
    monkeypatch.setenv(PROGRAMS_VARIABLE, str(tmp_path))

    with pytest.raises(lifecycle.SandboxError, match="no PostgreSQL server programs"):
        lifecycle.start(name)

    assert not state.sandbox_directory(name).exists()


def test_programs_named_by_hand_must_be_complete(monkeypatch, tmp_path):
    monkeypatch.setenv(PROGRAMS_VARIABLE, str(tmp_path))

    with pytest.raises(ProgramsError, match="Unset it"):
        find()


def test_a_state_folder_that_cannot_be_written_is_refused(monkeypatch, tmp_path):
    """A full or read-only disk looks like this: the folder cannot take a file."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv(HOME_VARIABLE, str(blocked / "below"))

    with pytest.raises(StateError, match=HOME_VARIABLE):
        lifecycle.start("never")


def test_a_full_state_folder_is_refused(monkeypatch):
    """/dev/full takes no byte; a folder on a full disk neither."""
    monkeypatch.setattr(state.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115

    with pytest.raises(StateError, match="No space left"):
        lifecycle.start("never")


def test_a_name_that_would_leave_the_folder_is_refused():
    with pytest.raises(ValueError, match="letters, digits"):
        lifecycle.start("../elsewhere")


def test_the_exports_are_all_that_boto3_needs(name):
    """`sandbox env` in a shell, then plain boto3: no code of ours."""
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'], len(boto3.client('rds').describe_db_clusters()['DBClusters']))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | lifecycle.start(name).variables

    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout

    assert "123456789012 0\n" == told
