"""The servers of one cluster: its writer, its hot standbys, and changes of roles. Callers hold the cluster's lock."""

import copy
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress

import psycopg
from psycopg import sql

from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.programs import Programs
from aurora_ops.sandbox.dataplane.server import ADMIN, Server, ServerError
from aurora_ops.sandbox.dataplane.template import template
from aurora_ops.sandbox.parameters.in_force import STANDBY_LIMITS, Groups

FOLLOW_SECONDS = 10


def add(programs: Programs, cluster: ClusterData, instance_id: str) -> None:
    """Start the server of a new instance, the writer if none runs."""
    cluster.assign_address(instance_id)
    try:
        if cluster.writer is not None and cluster.writer.is_running:
            _add_reader(programs, cluster, instance_id)
        else:
            cluster.writer_id = instance_id
            if cluster.writer is None:
                _make_writer(programs, cluster)
            else:  # its instance was deleted and created again; the data was kept
                _run_writer(cluster)
    except Exception:
        cluster.addresses.pop(instance_id, None)
        raise


def remove(cluster: ClusterData, instance_id: str) -> None:
    """End an instance's server. The writer's data is kept until the cluster is deleted."""
    cluster.addresses.pop(instance_id, None)
    cluster.classes.pop(instance_id, None)
    cluster.paused.discard(instance_id)
    if instance_id == cluster.writer_id and cluster.writer is not None:
        with suppress(ServerError, psycopg.Error):
            cluster.advance()
        cluster.writer.stop()
        return
    reader = cluster.readers.pop(instance_id, None)
    if reader is None:
        return
    reader.stop()
    shutil.rmtree(reader.directory, ignore_errors=True)


def fail_over(cluster: ClusterData, target_id: str) -> None:
    """Promote a reader without a restart; the writer endpoint leads to it, and the old writer is rebuilt as its standby.

    The old writer ends first and cleanly, so its standbys have all of its WAL and no commit is lost. The archive
    continues: the promoted server writes its own timeline into it, beginning with that timeline's history.
    """
    old_id, old, new = cluster.writer_id, cluster.writer, cluster.readers[target_id]
    if old is None or not new.is_running:
        raise ServerError(f"{target_id} cannot take over: it does not run")
    if not old.is_running:  # it crashed: commits that it had not sent are only in its data
        _run_writer(cluster)
    others = {name: server for name, server in cluster.readers.items() if name != target_id}
    _raise_limits(cluster, others, _limits_of(new))
    old.stop()
    try:
        new.promote()
    except (ServerError, psycopg.Error):
        _run_writer(cluster)
        _build_reader(cluster, target_id)  # the promotion may have succeeded too late
        raise
    cluster.writer, cluster.writer_id, cluster.readers = new, target_id, {old_id: old} | others
    cluster.max_connections = int(new.settings["max_connections"])
    set_master_password(cluster, new)
    _build_reader(cluster, old_id)
    for name in others:
        _await_streaming(cluster, name)


def restart(cluster: ClusterData, instance_id: str) -> None:
    """Restart one server. Its connections end, and settings that waited for a restart apply."""
    if instance_id == cluster.writer_id and cluster.writer is not None:
        _raise_limits(cluster, cluster.readers, _next_limits(cluster))
        cluster.writer.stop()
        _run_writer(cluster)
    else:
        _restart_reader(cluster, instance_id)


def stop(cluster: ClusterData) -> None:
    """Stop every server. The archive then holds every commit."""
    if cluster.writer is not None and cluster.writer.is_running:
        cluster.advance()
    for server in cluster.servers:
        server.stop()
    cluster.is_stopped = True


def start(cluster: ClusterData) -> None:
    """Start every server again."""
    cluster.is_stopped = False
    cluster.complete_failover()
    if cluster.writer is not None and cluster.writer_id in cluster.addresses:
        cluster.writer.stop()  # a start that failed may have left it running
        _run_writer(cluster)
        for name in cluster.readers:
            _restart_reader(cluster, name)


def begin_backups(cluster: ClusterData) -> None:
    """Take the first base backup of a writer whose history has begun anew."""
    if cluster.writer is None:
        raise ServerError("the cluster never had an instance")
    cluster.backups.take(cluster.writer, cluster.identifier)
    cluster.advance()


def pause(cluster: ClusterData, instance_id: str) -> None:
    """Stop one server until `resume`. Connections to it wait until then."""
    server = cluster.server_of(instance_id)
    if server is None:
        return
    if server is cluster.writer:
        cluster.advance()
    cluster.paused.add(instance_id)
    server.stop()


def resume(cluster: ClusterData, names: Iterable[str]) -> None:
    """Start the servers of paused instances again, the writer first. Settings that waited for a restart apply."""
    for name in sorted(set(names) & cluster.paused, key=lambda name: name != cluster.writer_id):
        restart(cluster, name)


def restart_crashed(cluster: ClusterData, instance_id: str) -> None:
    """Start a server again that crashed; PostgreSQL recovers every commit."""
    if instance_id == cluster.writer_id:
        _run_writer(cluster)
    else:
        _restart_reader(cluster, instance_id)


def _make_writer(programs: Programs, cluster: ClusterData) -> None:
    server = cluster.recovered or cluster.new_server(programs)
    if cluster.recovered is None:
        for left in (server.data, cluster.backups.directory):  # of an interrupted attempt: WAL of another history
            shutil.rmtree(left, ignore_errors=True)
        programs.run(["cp", "-Rp", str(template(programs)[0]), str(server.data)])
    cluster.max_connections = cluster.wanted_connections
    server.requires_tls = cluster.requires_tls
    configure(cluster, cluster.writer_id, server)
    server.start(*cluster.listen_address(server), settings=_settings(cluster))
    try:
        server.wait()
        if cluster.recovered is None:
            _create_master(server, cluster)
        set_master_password(cluster, server)
        cluster.backups.take(server, cluster.identifier)
    except Exception:
        server.stop(immediate=True)
        if cluster.recovered is None:  # the next try starts from the template again
            shutil.rmtree(server.directory, ignore_errors=True)
        raise
    cluster.writer, cluster.recovered = server, None
    cluster.advance()


def _run_writer(cluster: ClusterData) -> None:
    if cluster.writer is None:
        raise ServerError("the cluster never had an instance")
    cluster.max_connections = cluster.wanted_connections
    cluster.writer.requires_tls = cluster.requires_tls
    configure(cluster, cluster.writer_id, cluster.writer)
    cluster.writer.start(*cluster.listen_address(cluster.writer), settings=_settings(cluster))
    cluster.writer.wait()
    cluster.paused.discard(cluster.writer_id)
    set_master_password(cluster, cluster.writer)


def configure(cluster: ClusterData, instance_id: str, server: Server) -> None:
    """Before a start: put the present values of the parameter groups in force."""
    server.configuration = cluster.configuration_of(instance_id)
    server.groups = copy.deepcopy(cluster.groups.get(instance_id))


def reload(cluster: ClusterData, wanted: dict[str, Groups], names: set[str]) -> None:
    """Put these parameters of the wanted groups in force without a restart; all others wait."""
    for instance_id, groups in wanted.items():
        server = cluster.server_of(instance_id)
        if instance_id in cluster.groups:  # for a start without a reboot: after a crash, a pause, a kill
            cluster.groups[instance_id].take(groups, names)
        if server is None or server.groups is None:
            continue
        server.groups.take(groups, names)
        new = groups.configuration(cluster.size_acu(instance_id), cluster.libraries)
        kept = {name: value for name, value in server.configuration.items() if name not in names}
        server.reload(kept | {name: new[name] for name in names & set(new)})


def _settings(cluster: ClusterData) -> dict[str, str]:
    return {"max_connections": str(cluster.max_connections)}


def _add_reader(programs: Programs, cluster: ClusterData, instance_id: str) -> None:
    writer = cluster.writer
    if writer is None or not cluster.has_many_addresses:
        raise ServerError(
            "a reader needs a loopback address of its own, and this system has only 127.0.0.1; run with one instance"
        )
    cluster.readers[instance_id] = cluster.new_server(programs)
    try:
        _build_reader(cluster, instance_id)
    except Exception:
        remove(cluster, instance_id)
        raise


def _build_reader(cluster: ClusterData, instance_id: str) -> None:
    """Build a hot standby from a base backup of the writer, over any data that it had."""
    writer, reader = cluster.writer, cluster.readers[instance_id]
    if writer is None:
        raise ServerError("the cluster never had an instance")
    reader.stop()
    reader.invalidate()  # first: after a kill the rest must not be taken for a complete data directory
    shutil.rmtree(reader.data, ignore_errors=True)
    writer.copy_into(reader.data)
    (reader.data / "standby.signal").touch()
    _run_reader(cluster, instance_id)


def _run_reader(cluster: ClusterData, instance_id: str) -> None:
    reader = cluster.readers[instance_id]
    passfile = reader.directory / "passfile"
    # Not the writer's own address: after a failover this one leads to the new writer.
    reader.programs.write_private(passfile, f"{cluster.replication_host}:{cluster.port}:*:{ADMIN}:{reader.password}\n")
    reader.requires_tls = cluster.requires_tls
    configure(cluster, instance_id, reader)
    reader.start(*cluster.listen_address(reader), settings={
        "max_connections": str(cluster.connections_of(instance_id)),
        "primary_conninfo": f"host={cluster.replication_host} port={cluster.port} user={ADMIN} passfile='{passfile}' sslmode=disable application_name={instance_id}",
        "restore_command": f"cp '{reader.archive}/%f' '%p'",
        "recovery_target_timeline": "latest",
        "wal_retrieve_retry_interval": "200ms",  # a failover is noticed at once
    })  # fmt: skip
    reader.wait(standby=True)
    cluster.paused.discard(instance_id)


def _restart_reader(cluster: ClusterData, instance_id: str) -> None:
    reader = cluster.readers[instance_id]
    reader.stop()
    if not (reader.data / "standby.signal").exists():  # promoted before the sandbox was killed: not a standby
        _build_reader(cluster, instance_id)
        return
    try:
        _run_reader(cluster, instance_id)
    except ServerError:  # its timeline has diverged from the writer's
        _build_reader(cluster, instance_id)


def _limits_of(server: Server) -> dict[str, str]:
    return server.configuration | {"max_connections": server.settings.get("max_connections", "0")}


def _next_limits(cluster: ClusterData) -> dict[str, str]:
    return cluster.configuration_of(cluster.writer_id) | {"max_connections": str(cluster.wanted_connections)}


def _raise_limits(cluster: ClusterData, readers: Iterable[str], needed: dict[str, str]) -> None:
    """Restart standbys whose limits are below those that the writer is about to start with."""
    for name in readers:
        now = _limits_of(cluster.readers[name])
        if any(int(now.get(one, least)) < int(needed.get(one, least)) for one, least in STANDBY_LIMITS.items()):
            _restart_reader(cluster, name)


def _await_streaming(cluster: ClusterData, instance_id: str) -> None:
    """Wait until a standby streams from the new writer; rebuild it if it cannot."""
    deadline = time.monotonic() + FOLLOW_SECONDS
    while time.monotonic() < deadline:
        with suppress(psycopg.Error), cluster.readers[instance_id].connect() as connection:
            if connection.execute("SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'").fetchone():
                return
        time.sleep(0.05)
    _build_reader(cluster, instance_id)


def set_master_password(cluster: ClusterData, server: Server) -> None:
    """Set the master user's password where it was changed while no server ran."""
    if cluster.password_pending:
        with server.connect() as connection:
            # Hashed here: otherwise the text would be in pg_stat_statements, and in the log after an error.
            hashed = connection.pgconn.encrypt_password(cluster.password.encode(), cluster.master.encode())
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(cluster.master), sql.Literal(hashed.decode())))
        cluster.password_pending = False


def _create_master(server: Server, cluster: ClusterData) -> None:
    master, database = sql.Identifier(cluster.master), sql.Identifier(cluster.database)
    with server.connect() as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER CREATEDB CREATEROLE IN ROLE rds_superuser").format(master)
        )
        if cluster.database != "postgres":
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, master))
        connection.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(master))
    cluster.password_pending = True
