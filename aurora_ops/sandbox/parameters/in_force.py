"""From parameter groups to a server's configuration: which values are in force, and which wait for a reboot.

An instance group's value overrides the cluster group's, and that the family's default. Aurora's own parameters (rds.*, apg_*,
aurora_*) are stored and not passed on, since PostgreSQL would refuse to start with them; rds.logical_replication is translated.
"""

from dataclasses import dataclass, field

from aurora_ops.sandbox.parameters import formulas
from aurora_ops.sandbox.parameters.families import family

# A standby with a lower value than its writer's stops replaying. Aurora's readers share the writer's storage and have no such rule.
STANDBY_LIMITS = {
    "max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10, "max_locks_per_transaction": 64, "max_prepared_transactions": 0,
}  # fmt: skip
_AURORAS = ("rds.", "apg_", "aurora_")
# The sandbox sets these: they depend on this machine's memory, or its archive, sampler and TLS need them.
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
        """Whether a reboot would put other values of the cluster's group in force."""
        return (self.cluster_name, self.cluster) != (wanted.cluster_name, wanted.cluster)

    def is_instance_pending(self, wanted: "Groups") -> bool:
        """The same of the instance's group."""
        return (self.instance_name, self.instance) != (wanted.instance_name, wanted.instance)

    def take(self, wanted: "Groups", names: set[str]) -> None:
        """Put these parameters in force: they were set, or reset, with ApplyMethod immediate."""
        for mine, theirs in ((self.cluster, wanted.cluster), (self.instance, wanted.instance)):
            for name in names:
                mine.pop(name, None)
                if name in theirs:
                    mine[name] = theirs[name]

    @property
    def users(self) -> dict[str, str]:
        """The values that users set, the instance group's over the cluster group's."""
        return self.cluster | self.instance

    def number(self, name: str, ceiling_acu: float) -> int | None:
        """A user's value of a parameter that is a whole number; None where no user set one."""
        value = self.users.get(name)
        return None if value is None else int(_plain(value, formulas.variables(ceiling_acu)))

    def configuration(self, ceiling_acu: float, libraries: frozenset[str] | None = None) -> dict[str, str]:
        """PostgreSQL's settings by name. Of the libraries to preload only those among `libraries`, if given."""
        known, users = family(self.family, of_cluster=True), self.users
        variables = formulas.variables(ceiling_acu)
        values = {
            name: one.value
            for name, one in known.items()
            if one.value is not None and one.modifiable and name not in _ONLY_IF_SET
        } | users
        settings = {
            name: _plain(value, variables)
            for name, value in values.items()
            if not name.startswith(_AURORAS) and name not in _KEPT
        }
        if values.get("rds.logical_replication") == "1":
            settings["wal_level"] = "logical"
        wanted = [one.strip() for one in settings.get("shared_preload_libraries", "").split(",") if one.strip()]
        installed = [one for one in dict.fromkeys((*wanted, _SAMPLED)) if libraries is None or one in libraries]
        return settings | {"shared_preload_libraries": ",".join(installed)}


def _plain(value: str, variables: dict[str, float]) -> str:
    return str(formulas.compute(value, variables)) if formulas.is_formula(value) else value


def text(configuration: dict[str, str]) -> str:
    """The configuration as the text of a postgresql.conf."""
    return "".join("{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in configuration.items())
