"""Settings of a running sandbox: how long statuses last, the quotas, how often an operation may be called.

    controls = Controls(lifecycle.status())
    controls.statuses(creating=5, modifying=3)      # or all=2; zero, where AWS takes minutes, is the default
    controls.quota("DBClusters", 2)                 # so that a test needs no forty clusters
    controls.rate("DescribeDBClusters", per_second=1, burst=2)
    controls.reset()

At the start of a sandbox, `AURORA_OPS_SANDBOX_SECONDS` ("creating=5,modifying=3", or one number for all) and `AURORA_OPS_SANDBOX_RATE`
("10" or "10/20": calls a second, and the burst) set the same. The settings belong to the account and survive a restart. Over HTTP, for other languages: GET,
POST (the sections to replace, as JSON) and DELETE on `/aurora-ops/controls` of the sandbox's endpoint.
"""

from typing import Any

from aurora_ops.sandbox import statuses, wire
from aurora_ops.sandbox.client import limits
from aurora_ops.sandbox.client.state import State

PATH = "/aurora-ops/controls"


class Controls:
    """Settings of one running sandbox, from any process."""

    def __init__(self, state: State) -> None:
        self._endpoint_url = state.endpoint_url

    def statuses(self, **seconds: float) -> None:
        """How many seconds each status lasts, by its name with _ for -; `all` for those not named. A status that has lasted longer ends."""
        named = {status.replace("_", "-"): value for status, value in seconds.items()}
        self._change("seconds", statuses.check_seconds(named))

    def quota(self, name: str, most: int) -> None:
        """Set a quota by its name in DescribeAccountAttributes."""
        self._change("quotas", self.settings()["quotas"] | {name: most})

    def rate(self, operation: str = limits.EVERY, *, per_second: float, burst: float | None = None) -> None:
        """Limit the calls of an operation (of all together, without a name); further calls get Throttling. Burst: by default one second's."""
        limit = {"per_second": per_second, "burst": max(1.0, per_second) if burst is None else burst}
        self._change("rate", self.settings()["rate"] | {operation: limit})

    def settings(self) -> dict[str, Any]:
        """The present settings: `seconds` by status, `quotas` by name, `rate` by operation, `hangs` as statuses by resource."""
        found: dict[str, Any] = wire.ask(self._endpoint_url, "GET", PATH)
        return found

    def reset(self) -> None:
        """Reset to the settings of the start. Statuses that `hang` or `become` set remain."""
        wire.ask(self._endpoint_url, "DELETE", PATH)

    def _change(self, section: str, content: Any) -> None:
        wire.ask(self._endpoint_url, "POST", PATH, {section: content})
