"""What the PostgreSQL log says of logins that failed: the reason that the server does not tell its client."""

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws.api import code_of
from aurora_ops.aws.session import Session
from aurora_ops.core.errors import AuroraOpsError

LINES = 200
# As RDS writes a line: time, client, user@database, process; a DETAIL follows its FATAL.
_LINE = re.compile(
    r"^(?P<time>\S+ \S+) UTC:(?P<client>[^:]*):(?P<user>[^@]*)@(?P<database>[^:]*):\[\d+\]:(?P<level>\w+):\s+(?P<text>.*)$"
)
_NO_REASON = "Connection matched"  # which line of pg_hba.conf it was


class LogError(AuroraOpsError):
    """The log could not be read."""


def tail(session: Session, instance: str) -> list[str]:
    """The last lines of the instance's newest log.

    Raises
    ------
    LogError
        The API refused, or there is no log.
    """
    rds = session.client("rds")
    try:
        files: list[dict[str, Any]] = rds.describe_db_log_files(DBInstanceIdentifier=instance)["DescribeDBLogFiles"]
        if not files:
            raise LogError(f"{instance} has no log file")
        name = max(files, key=lambda one: (one["LastWritten"], one["LogFileName"]))["LogFileName"]
        found = rds.download_db_log_file_portion(DBInstanceIdentifier=instance, LogFileName=name, NumberOfLines=LINES)
    except ClientError as error:
        raise LogError(f"rds:DownloadDBLogFilePortion was refused ({code_of(error)})") from None
    return str(found.get("LogFileData") or "").splitlines()


def refusals(lines: list[str], user: str = "", since: datetime | None = None) -> list[str]:
    """The reasons of logins that failed, of one user or of all, the newest last.

    >>> refusals(['2026-11-27 14:59:14 UTC:10.0.0.1(39023):app@shop:[53]:FATAL:  password authentication failed for user "app"',
    ...           '2026-11-27 14:59:14 UTC:10.0.0.1(39023):app@shop:[53]:DETAIL:  User "app" has an expired password.'])
    ['password authentication failed for user "app"', 'User "app" has an expired password.']
    """
    found, after = [], False
    for line in lines:
        match = _LINE.match(line)
        if match is None or user not in ("", match["user"]):
            continue
        if since and datetime.strptime(match["time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) < since:
            continue
        if match["level"] == "FATAL" or (match["level"] == "DETAIL" and after):
            found.append(match["text"].strip().partition(_NO_REASON)[0].strip())
        after = match["level"] == "FATAL"
    return list(filter(None, found))


def counted(lines: list[str]) -> str:
    """The refusals of all clients, the commonest first, for a sentence."""
    found = Counter(refusals(lines))
    return "; ".join(f"{number} x {text}" for text, number in found.most_common(3))
