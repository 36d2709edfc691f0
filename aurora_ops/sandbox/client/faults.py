"""Faults on purpose: throttle or fail the n-th call of an operation of a running sandbox.

    faults = Faults(lifecycle.status())
    faults.throttle("RestoreDBClusterToPointInTime", times=2)    # boto3's retries get past it
    faults.fail("CreateDBInstance", "InsufficientDBInstanceCapacity", after=1)    # the first call passes
    faults.lag_archive("dev-cluster")    # LatestRestorableTime stays where it is
    faults.corrupt_page("dev-cluster", "shop", "public.orders", snapshot="nightly")
    faults.drop_server("shop-1", seconds=2)    # kill -9; it is restarted, or the cluster fails over
    faults.steal_address(cluster["Endpoint"])    # another program listens there when the cluster starts the next time
    faults.hang("shop", "creating")    # from now, or from the next time on, until it is released
    faults.become("shop-1", "storage-full")    # shown, and what AWS then refuses is refused; the server keeps running
    faults.expire_tokens()    # to databases, until cleared
    faults.clear()

A fault of an operation is answered before the sandbox looks at the request, so nothing happens behind it. Over HTTP, for other languages:
GET, POST (one fault as JSON, or such as `{"drop_server": {...}}` with the parameters' names) and DELETE on
`/aurora-ops/faults` of the sandbox's endpoint.
"""

import difflib
from dataclasses import asdict, dataclass
from typing import Any

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import statuses, wire
from aurora_ops.sandbox.client.state import State

PATH = "/aurora-ops/faults"
ACT_SECONDS = 300  # a server restarts for some of them
TOKENS = ("rds-db", "connect")  # no operation of a service: a login to a database by IAM token
UNTIL_CLEARED = 10**9
THROTTLED = "Throttling"  # as the query APIs (RDS, SNS) say it
THROTTLED_ELSEWHERE = {"json": "ThrottlingException", "cbor": "ThrottlingException", "s3": "SlowDown"}


@dataclass
class Fault:
    """The next calls of `operation` pass `after` times and then fail `times` times with `code`."""

    operation: str
    code: str
    times: int = 1
    after: int = 0
    status: int = 400
    message: str = "Injected by a fault of this sandbox"
    service: str = "rds"

    def __post_init__(self) -> None:
        if not self.operation or not self.code or self.times < 1 or self.after < 0 or not 400 <= self.status <= 599:
            raise InputError(
                f"{self!r}: a fault needs an operation and a code, times of at least 1, after of at least 0, and a status of 400 to 599."
            )


class Faults:
    """Faults of one running sandbox, from any process."""

    def __init__(self, state: State) -> None:
        self._endpoint_url = state.endpoint_url

    def throttle(self, operation: str, times: int = 1, *, after: int = 0, service: str = "rds") -> None:
        """Answer the next `times` calls with "Rate exceeded"."""
        self._add(Fault(operation, THROTTLED, times, after, message="Rate exceeded", service=service))

    def fail(
        self, operation: str, code: str, times: int = 1, *, after: int = 0, status: int = 400, service: str = "rds"
    ) -> None:
        """Answer the next `times` calls with the error `code`. boto3 retries a call by itself at status 500 and above."""
        self._add(Fault(operation, code, times, after, status, service=service))

    def lag_archive(self, cluster: str, seconds: float | None = None) -> None:
        """Stop the cluster's WAL archive, and with it its LatestRestorableTime, for so many seconds, or until cleared.

        What is committed meanwhile is archived afterwards. Nothing else changes: that is how a lag looks from outside.
        """
        if seconds is not None and not 0 < seconds < float("inf"):
            raise InputError(f"seconds={seconds}: how long the archive lags, more than 0; None: until cleared.")
        self._do("lag_archive", cluster=cluster, seconds=seconds)

    def corrupt_page(
        self, cluster: str, database: str, table: str, *, page: int = 0, instance: str = "", snapshot: str = ""
    ) -> None:
        """Flip one bit of a page (8 KiB, counted from 0) of a table on disk, as failing storage does. It is not undone by `clear`.

        In the data of the instance, by default the writer, which restarts for it; or, with `snapshot`, in that snapshot of
        the cluster (an automated one too), whose restore then has the damage. Data checksums are on, so a read of the page
        fails with "invalid page in block"; other pages stay readable. Aurora's instances share their storage, these do not:
        the other instances keep a sound page, and a point-in-time restore may repair it from WAL.
        """
        self._do(
            "corrupt_page", cluster=cluster, database=database, table=table, page=page, instance=instance, snapshot=snapshot
        )  # fmt: skip

    def back_up(self, cluster: str) -> None:
        """Not a fault: take the cluster's next base backup now instead of in a day, and delete expired ones."""
        self._do("back_up", cluster=cluster)

    def drop_server(self, instance: str, *, seconds: float = 3.0) -> None:
        """Kill the server of an instance, as a crash does, for at least so many seconds.

        Its endpoints refuse until it is recovered; a writer that has a reader is failed over instead, as in Aurora.

        Raises
        ------
        InputError
            No instance has that name, or its server does not run.
        """
        self._do("drop_server", instance=instance, seconds=seconds)

    def steal_address(self, host: str) -> None:
        """Let another program take an endpoint's address as soon as it is free: when its cluster stops, or has no instance.

        Raises
        ------
        InputError
            No cluster of the sandbox has that endpoint.
        """
        self._do("steal_address", host=host)

    def expire_tokens(self, times: int = UNTIL_CLEARED) -> None:
        """Refuse the next `times` logins by a valid IAM token as if it had expired; without `times`, until `clear`."""
        service, operation = TOKENS
        self._call("POST", asdict(Fault(operation, "ExpiredToken", times, service=service)))

    def pending(self) -> list[Fault]:
        """The faults of operations that are still to come, with their remaining times."""
        return [Fault(**one) for one in self._call("GET")]

    def hang(self, identifier: str, status: str) -> None:
        """Let a cluster or an instance stay in a status: from now if it is in it, else from the next time it enters it."""
        self._do("hang", identifier=identifier, status=statuses.check_word(status))

    def become(self, identifier: str, status: str) -> None:
        """Let a cluster or an instance show a status, such as storage-full or incompatible-parameters, until it is released."""
        self._do("become", identifier=identifier, status=statuses.check_word(status))

    def release(self, identifier: str | None = None) -> None:
        """End `hang` and `become` of one resource, or of all."""
        self._do("release", identifier=identifier)

    def clear(self) -> None:
        """Remove all faults: archives advance, stolen addresses are free, and every `hang` and `become` ends."""
        self._call("DELETE")

    def _add(self, fault: Fault) -> None:
        _check_operation(fault)
        self._call("POST", asdict(fault))

    def _do(self, action: str, **details: Any) -> None:
        self._call("POST", {action: details}, ACT_SECONDS)

    def _call(self, method: str, body: Any = None, seconds: float = 10) -> Any:
        return wire.ask(self._endpoint_url, method, PATH, body, seconds)


def _check_operation(fault: Fault) -> None:
    """A misspelt operation would never be called, and a test that relies on it would prove nothing."""
    import botocore.session

    try:
        known = list(botocore.session.get_session().get_service_model(fault.service).operation_names)
    except Exception as error:
        raise InputError(f"service={fault.service!r}: {error}") from None
    if fault.operation not in known:
        near = difflib.get_close_matches(fault.operation, known, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(
            f"operation={fault.operation!r}: {fault.service} has no such operation, so it would never fail.{hint}"
        )
