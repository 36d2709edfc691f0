"""PostgreSQL's log, as AWS shows it: CloudWatch Logs for clusters that export it, and RDS's two log file operations.

Here a server writes one file; Aurora begins a new one every hour.
"""

import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import logs_backends
from moto.logs.responses import LogsResponse
from moto.rds.exceptions import DBInstanceNotFoundError, InvalidParameterValue, RDSClientError
from moto.rds.models import rds_backends
from moto.rds.responses import RDSResponse

from aurora_ops.sandbox.dataplane import major_upgrade
from aurora_ops.sandbox.periodic import PeriodicThread
from aurora_ops.sandbox.rds.models import AuroraInstance
from aurora_ops.sandbox.requests.layers import instead

log = logging.getLogger(__name__)
EVERY_SECONDS = 1.0
MOST_BYTES = 1024 * 1024  # of one DownloadDBLogFilePortion
MOST_LINES = 10_000
_TIME = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)? UTC")
_NOT_XML = {code: "?" for code in range(32) if chr(code) not in "\t\n\r"}


def entries(chunk: bytes) -> Iterator[tuple[int, str]]:
    """Whole log entries with their time in epoch milliseconds; an indented line continues the entry before it."""
    now = int(time.time() * 1000)
    found: list[tuple[int, list[str]]] = []
    for line in chunk.splitlines():
        text = line.decode(errors="replace")
        if line.startswith(b"\t") and found:
            found[-1][1].append(text)
            continue
        stamp = _TIME.match(line)
        if stamp:
            moment = datetime.strptime(stamp[1].decode(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            now = int(moment.timestamp() * 1000 + float(stamp[2] or 0) * 1000)
        found.append((now, [text]))
    return ((at, "\n".join(lines)) for at, lines in found)


class Tail(PeriodicThread):
    """One thread that follows the servers' logs from the moment of the export's start. Only whole lines are exported."""

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}  # by DbiResourceId
        super().__init__("log tail", EVERY_SECONDS)

    def run_once(self) -> None:
        """Export the new lines of every server's log."""
        for region, backend in list(rds_backends[DEFAULT_ACCOUNT_ID].items()):
            for instance in list(backend.databases.values()):
                try:
                    if isinstance(instance, AuroraInstance):
                        self._follow(region, instance)
                except Exception as error:  # one log that cannot be read must not end the others
                    log.warning("the log of %s: %s", instance.db_instance_identifier, error)

    def _follow(self, region: str, instance: AuroraInstance) -> None:
        server = instance.server
        if server is None or not server.log.exists():
            return
        key, size = instance.dbi_resource_id, server.log.stat().st_size
        position = self.positions.get(key, 0)
        if "postgresql" not in instance.cluster.enabled_cloudwatch_logs_exports:
            self.positions[key] = size
            return
        if size <= position:
            self.positions[key] = size
            return
        with server.log.open("rb") as file:
            file.seek(position)
            chunk = file.read(MOST_BYTES)
        chunk = chunk[: chunk.rfind(b"\n") + 1]
        self.positions[key] = position + len(chunk)
        events = [{"timestamp": at, "message": text} for at, text in entries(chunk)]
        if events:
            group = f"/aws/rds/cluster/{instance.cluster.db_cluster_identifier}/postgresql"
            backend = logs_backends[DEFAULT_ACCOUNT_ID][region]
            if group not in backend.groups:
                backend.create_log_group(group, {})
            backend.ensure_log_stream(group, instance.db_instance_identifier)
            backend.put_log_events(group, instance.db_instance_identifier, events)


def _files(self: RDSResponse) -> dict[str, Path]:
    """An instance's logs: their names in AWS, and their paths here."""
    name = self.params["DBInstanceIdentifier"].lower()
    if name not in self.backend.databases:
        raise DBInstanceNotFoundError(name)
    instance = self.backend.databases[name]
    server = instance.server if isinstance(instance, AuroraInstance) else None
    if server is None:
        raise RDSClientError("InvalidDBInstanceState", f"DB instance {name} has no log: its server was never started")
    found = {f"error/postgresql.log.{instance.instance_create_time:%Y-%m-%d-%H%M}": server.log}
    refused = server.directory / major_upgrade.LOG
    if refused.exists():
        at = datetime.fromtimestamp(refused.stat().st_mtime, UTC)
        found[f"error/{refused.name}.{at:%Y-%m-%d-%H%M}"] = refused
    return found


def describe_db_log_files(self: RDSResponse) -> ActionResult:
    """The instance's log files. moto: one invented file of 123 bytes, whatever the filters."""
    wanted, found = self.params, []
    for name, path in _files(self).items():
        stat = path.stat()
        written = int(stat.st_mtime * 1000)
        if (
            (wanted.get("FilenameContains") or "") in name
            and written >= (wanted.get("FileLastWritten") or 0)
            and stat.st_size >= (wanted.get("FileSize") or 0)
        ):
            found.append({"LogFileName": name, "LastWritten": written, "Size": stat.st_size})
    return ActionResult({"DescribeDBLogFiles": found})


def portion(content: bytes, marker: str | None, lines: int) -> tuple[bytes, int]:
    """A block of whole lines and the offset of the next one: the last lines without a marker, else the lines after it."""
    content = content[: content.rfind(b"\n") + 1]
    if marker is None:
        block = b"".join(content.splitlines(keepends=True)[-lines:])[-MOST_BYTES:]
        return block, len(content)
    offset = marker.rpartition(":")[2]
    if not offset.isdigit() or int(offset) > len(content):
        raise InvalidParameterValue(f"Invalid marker: {marker}")
    found: list[bytes] = []
    size = 0
    for line in content[int(offset) :].splitlines(keepends=True)[:lines]:
        if found and size + len(line) > MOST_BYTES:
            break
        found.append(line)
        size += len(line)
    return b"".join(found), int(offset) + size


def download_db_log_file_portion(self: RDSResponse) -> ActionResult:
    """Blocks of the file: from the start with marker "0", the end without one. moto: HTTP 500."""
    path = _files(self).get(self.params.get("LogFileName", ""))
    if path is None:
        raise RDSClientError("DBLogFileNotFoundFault", f"DBLog File: {self.params.get('LogFileName')}, is not found")
    content = path.read_bytes()
    marker, lines = self.params.get("Marker"), self.params.get("NumberOfLines")
    block, following = portion(content, marker, int(lines or MOST_LINES))
    return ActionResult({
        "LogFileData": block.decode(errors="replace").translate(_NOT_XML),
        "Marker": f"1:{following}",
        "AdditionalDataPending": marker is not None and following < content.rfind(b"\n") + 1,
    })  # fmt: skip


def _set_key(self: LogsResponse, key: str | None) -> str:
    groups, name = self.logs_backend.groups, self._get_param("logGroupName")
    if name not in groups:
        raise ResourceNotFoundException
    groups[name].kms_key_id = key
    return ""


def associate_kms_key(self: LogsResponse) -> str:
    """Encrypt from now on with another key. moto: HTTP 500, which the Terraform provider takes for "later" and asks again for hours."""
    return _set_key(self, self._get_param("kmsKeyId"))


def disassociate_kms_key(self: LogsResponse) -> str:
    """Encrypt with the service's own key from now on. moto: HTTP 500."""
    return _set_key(self, None)


LAYERS = (
    instead(describe_db_log_files),
    instead(download_db_log_file_portion),
    instead(associate_kms_key, LogsResponse),
    instead(disassociate_kms_key, LogsResponse),
)
