"""The file of a baseline: a line that says what it is and for whom, then what was recorded, compressed, with a checksum; readable by its owner only."""

import gzip
import hashlib
import json
import os
import zlib
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora_ops.aws import which_cluster
from aurora_ops.core.errors import InputError

SUFFIX = ".baseline.gz"
_WHAT, VERSION = "aurora-ops baseline", 1
_MODE = 0o600


class BaselineError(InputError):
    """A file is no baseline that can be used here."""


@dataclass(frozen=True)
class Head:
    """Whose baseline it is, of when, and how it was read. Times are UTC; `read_from` and `read_until` by the server's clock."""

    cluster: str
    arn: str
    account: str
    region: str
    resource_id: str
    engine_version: str
    server_version: str
    databases: tuple[str, ...]
    to: datetime  # B: the second that it is of
    read_from: datetime  # rows
    read_until: datetime
    timed: bool  # whether commits carried their time
    depth: str
    salt: str  # of the hashes, hexadecimal
    made_by: str  # version of this package

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.cluster}-{self.to:%Y%m%dT%H%M%SZ}{SUFFIX}"

    def __str__(self) -> str:
        return f"baseline of {self.cluster} ({self.resource_id}) as of {self.to:%F %T}Z"


def write(path: Path, head: Head, body: dict[str, Any]) -> Path:
    """Write it whole or not at all."""
    recorded = json.dumps(body, separators=(",", ":"), default=_plain).encode()
    line = {"what": _WHAT, "version": VERSION, "sha256": hashlib.sha256(recorded).hexdigest(), "head": asdict(head)}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
            packed.write(json.dumps(line, default=_plain).encode() + b"\n" + recorded)
        file.flush()
        os.fsync(file.fileno())
    return draft.replace(path)


def read(path: str | Path) -> tuple[Head, dict[str, Any]]:
    """Whose it is, and what was recorded.

    Raises
    ------
    BaselineError
        It cannot be read, is damaged, or is of another format.
    """
    where = f"baseline={str(path)!r}"
    try:
        with gzip.open(path, "rb") as file:
            line, recorded = file.readline(), file.read()
    except (OSError, EOFError, zlib.error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BaselineError(
            f"{where} cannot be read ({said}), so nothing was compared. Give a file that record-baseline wrote, whole: compare its sha256 with the one of "
            "the run that recorded it."
        ) from None
    try:
        told = json.loads(line)
    except ValueError:
        told = {}
    version = told.get("version") if isinstance(told, dict) else None
    if version is None or told.get("what") != _WHAT:
        raise BaselineError(f"{where} is no baseline, so nothing was compared. Give a file that record-baseline wrote: its name ends in {SUFFIX}.")  # fmt: skip
    if version != VERSION:
        raise BaselineError(
            f"{where} is of format {version!r}, and this version of aurora-ops reads {VERSION}, so nothing was compared. Use the version that recorded it."
        )
    if hashlib.sha256(recorded).hexdigest() != told.get("sha256"):
        raise BaselineError(f"{where} is damaged: what it holds is not what was recorded, so nothing was compared. Take another copy of it.")  # fmt: skip
    try:
        return _head(told["head"]), json.loads(recorded)
    except (KeyError, TypeError, ValueError) as error:
        raise BaselineError(f"{where} is damaged ({type(error).__name__}: {error}), so nothing was compared. Take another copy of it.") from None  # fmt: skip


def check(path: str, *, cluster: str = "", restored_to: str = "") -> None:
    """Refuse, before anything is started, a file that cannot be used, or that is of another cluster or of a later second.

    Raises
    ------
    BaselineError
        With what to do.
    """
    from aurora_ops.core.times import to_datetime

    head, _ = read(path)
    if cluster:
        require_cluster(head, cluster)
    if moment := to_datetime(restored_to):
        require_second(head, moment)


def require_cluster(head: Head, cluster: str) -> None:
    """Refuse a baseline of another cluster than the one that was named, by identifier, ARN or endpoint.

    Raises
    ------
    BaselineError
        It is another's.
    """
    text = cluster.strip().lower()
    if which_cluster.name_in(text) != head.cluster.lower() or (text.startswith("arn:") and text != head.arn.lower()):
        raise BaselineError(
            f"the baseline is of cluster {head.cluster} ({head.arn}), and cluster says {cluster}, so nothing was compared. "
            f"Say -p cluster {head.cluster}, or give that cluster's baseline."
        )


def require_second(head: Head, moment: datetime, within_seconds: float = 0) -> None:
    """Refuse a copy of before the baseline: nothing tells what was changed in between.

    Raises
    ------
    BaselineError
        It is of an earlier second, or may be.
    """
    if moment.timestamp() - within_seconds < head.to.timestamp():
        within = f", give or take {within_seconds:g} s," if within_seconds else ""
        raise BaselineError(
            f"the copy is of {moment:%F %T}Z{within} and the baseline of {head.to:%F %T}Z, which is later, so nothing was compared: what was written in "
            f"between cannot be told from what is missing. Give an earlier baseline, or a copy that was restored to {head.to:%FT%TZ} or later."
        )


def _head(told: dict[str, Any]) -> Head:
    known = {one.name: told[one.name] for one in fields(Head)}
    for name in ("to", "read_from", "read_until"):
        known[name] = datetime.fromisoformat(known[name])
    return Head(**known | {"databases": tuple(known["databases"])})


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a baseline")
