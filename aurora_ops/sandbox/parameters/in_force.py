"""From parameter groups to a server's configuration: what is in force, what waits for a reboot, and what PostgreSQL is told.

An instance group's value goes over the cluster group's, and that over the family's default. Aurora's own parameters (rds.*, apg_*,
aurora_*) are kept and not handed over, since PostgreSQL would refuse to start with them; the one that means something to it is translated.
"""

from dataclasses import dataclass, field

from aurora_ops.sandbox.parameters import formulas
from aurora_ops.sandbox.parameters.families import family

# A standby with less of these than its writer stops replaying. Aurora's readers share the writer's storage and have no such rule.
FOLLOWING = {
    "max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10, "max_locks_per_transaction": 64, "max_prepared_transactions": 0,
}  # fmt: skip
_AURORAS = ("rds.", "apg_", "aurora_")
# The sandbox decides these: they are this machine's memory, or what the archive, the sampler and TLS rest on.
_KEPT = ("max_connections", "shared_buffers", "ssl", "track_commit_timestamp")
_ONLY_IF_SET = ("autovacuum_naptime",)  # Aurora's 5 s would keep a small machine busy for idle databases
_SAMPLED = "pg_stat_statements"  # the sampler reads it, so it is always loaded


@dataclass
class Groups:
    """The parameter groups of one instance: their names, and what users set in them."""

    family: str
    cluster_name: str = ""
    instance_name: str = ""
    cluster: dict[str, str] = field(default_factory=dict)
    instance: dict[str, str] = field(default_factory=dict)

    def is_cluster_pending(self, wanted: "Groups") -> bool:
        """Whether a reboot would bring other values of the cluster's group than these, which are in force."""
        return (self.cluster_name, self.cluster) != (wanted.cluster_name, wanted.cluster)

    def is_instance_pending(self, wanted: "Groups") -> bool:
        """The same of the instance's group."""
        return (self.instance_name, self.instance) != (wanted.instance_name, wanted.instance)

    def take(self, wanted: "Groups", names: set[str]) -> None:
        """Put these parameters in force: they were set, or reset, to apply at once."""
        for mine, theirs in ((self.cluster, wanted.cluster), (self.instance, wanted.instance)):
            for name in names:
                mine.pop(name, None)
                if name in theirs:
                    mine[name] = theirs[name]

    @property
    def users(self) -> dict[str, str]:
        """What users set, the instance group's over the cluster group's."""
        return self.cluster | self.instance

    def number(self, name: str, ceiling_acu: float) -> int | None:
        """A user's value of a parameter that is a whole number; None where no user set one."""
        value = self.users.get(name)
        return None if value is None else int(_plain(value, formulas.variables(ceiling_acu)))

    def configuration(self, ceiling_acu: float, libraries: frozenset[str] | None = None) -> dict[str, str]:
        """What PostgreSQL is told, by name. Of the libraries to preload only those that are installed, if they are given."""
        known, users = family(self.family, of_cluster=True), self.users
        variables = formulas.variables(ceiling_acu)
        values = {
            name: one.value
            for name, one in known.items()
            if one.value is not None and one.modifiable and name not in _ONLY_IF_SET
        } | users
        told = {
            name: _plain(value, variables)
            for name, value in values.items()
            if not name.startswith(_AURORAS) and name not in _KEPT
        }
        if values.get("rds.logical_replication") == "1":
            told["wal_level"] = "logical"
        wanted = [one.strip() for one in told.get("shared_preload_libraries", "").split(",") if one.strip()]
        there = [one for one in dict.fromkeys((*wanted, _SAMPLED)) if libraries is None or one in libraries]
        return told | {"shared_preload_libraries": ",".join(there)}


def _plain(value: str, variables: dict[str, float]) -> str:
    return str(formulas.compute(value, variables)) if formulas.is_formula(value) else value


def text(configuration: dict[str, str]) -> str:
    """The configuration as PostgreSQL reads it."""
    return "".join("{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in configuration.items())
