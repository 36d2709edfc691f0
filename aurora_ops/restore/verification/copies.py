"""Which cluster is the copy, of which second it is, and how to get into it: what the page is told, and what tags and AWS Backup say."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from aurora_ops.aws import api, inventory
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import Access, open_access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.copies import restore_job
from aurora_ops.aws.copies.restore_job import RestoreJob
from aurora_ops.aws.credentials.forms import LoginError
from aurora_ops.aws.session import DatabaseUnreachableError, LoginRefusedError, Session
from aurora_ops.core.errors import InputError
from aurora_ops.core.times import to_datetime
from aurora_ops.restore.point_in_time import AS_OF, FROM

_BY_TAG, _BY_JOB = "as the copy's tag says", "as the recovery point's creation says"


class CopyRefusedError(InputError):
    """The copy cannot be the one that is meant, or nothing says of which second it is."""


@dataclass(frozen=True)
class Restored:
    """A copy: its cluster, the second that it was restored to, and how that is known."""

    access: Access
    to: datetime
    how: str
    job: RestoreJob | None = None


def find(
    session: Session,
    source: str,
    copy: str,
    restored_to: str,
    login: str = "",
    job: str = "",
    *,
    source_is_asked: bool = True,
) -> Restored:
    """The copy that is meant. `source` is the identifier of the cluster that it was made of; where a baseline is asked in its place, the copy may have its name.

    Raises
    ------
    UnknownClusterError, UnsuitableClusterError, RestoreJobError
        There is no such cluster, none that can be read, or no such job.
    CopyRefusedError
        It is the source itself, not what the job made, or nothing says of which second it is.
    """
    known = restore_job.find(session, job) if job else None
    name = copy.strip() or (known.made if known else "") or _newest(session, source)
    access = open_access(session, cluster=name, login=login)
    if source_is_asked and access.identifier == source:
        raise CopyRefusedError(
            f"copy={copy!r} is the source itself, and a cluster always agrees with itself, so nothing was read. Name its copy."
        )
    described = access.described()
    if known and (known.status != restore_job.DONE or known.made.lower() != described.arn.lower()):
        raise CopyRefusedError(
            f"restore_job={job!r} is {known.status} and made {known.made or 'nothing'}, not {described.arn}, so nothing was read. "
            "Leave copy empty to take what the job made."
        )
    moment, how = _second(restored_to, described, known)
    if moment > min(described.raw["ClusterCreateTime"].astimezone(UTC), datetime.now(UTC)):
        raise CopyRefusedError(
            f"restored_to={moment:%F %T}Z is later than the copy itself, which was made at {described.raw['ClusterCreateTime']:%F %T}Z, so nothing was "
            "read. Give the second that was restored to."
        )
    return Restored(access, moment, how, known)


def _newest(session: Session, source: str) -> str:
    """Of the clusters that restore-to-point-in-time made of the source, the one of the latest second."""
    made = {
        one.identifier: one.tags.get(AS_OF, "") for one in inventory.clusters(session) if one.tags.get(FROM) == source
    }
    if not made:
        raise CopyRefusedError(
            f"copy is empty, and no cluster of {session.region} says by its tag {FROM} that it was restored from {source}, so nothing was read. Name it: copy."
        )
    return max(made, key=lambda name: made[name])


def _second(asked: str, copy: Cluster, job: RestoreJob | None) -> tuple[datetime, str]:
    if moment := to_datetime(asked):
        return moment, "as asked"
    tags = api.tags_of(copy.raw)
    with suppress(ValueError):
        if moment := to_datetime(tags.get(AS_OF, "")):
            return moment, _BY_TAG
    if job and job.taken:
        return job.taken, _BY_JOB
    raise CopyRefusedError(
        f"restored_to is empty, and neither a tag {AS_OF} of {copy.identifier} nor a restore job says it, so nothing was read. "
        "Give the second that the copy was restored to, such as 2025-12-12T12:00:00Z."
    )


@dataclass
class WayIn:
    """Connects to a copy, read-only and nothing else: by the source's way in, for its password is the source's of that second, or by its own."""

    source: Access | None
    copy: Access
    _found: Access | None = field(default=None, init=False)

    def __call__(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        """A connection to a database of the copy.

        Raises
        ------
        CopyRefusedError
            Something asked to write.
        DatabaseUnreachableError
            No login was accepted; it is not reset, for nothing is written.
        """
        if not read_only:
            raise CopyRefusedError("a verification writes nothing to the copy.")
        described = clusters.find(self.copy.session, self.copy.identifier)
        if self._found:
            return self._found.connect(database=database, cluster=described)
        tried = []
        for way in [one for one in (None if self.copy.login else self.source, self.copy) if one]:
            try:
                opened = way.connect(database=database, cluster=described)
            except (LoginRefusedError, LoginError) as error:
                tried.append(str(error))
            else:
                self._found = way
                return opened
        raise DatabaseUnreachableError(
            f"{' '.join(tried)} A copy has the passwords of the second that it was restored to. Nothing is reset here: say copy_login."
        )
