"""Parameters of Aurora PostgreSQL's parameter group families: a part of them, and the changes that Aurora refuses.

Names, types and ranges are PostgreSQL 15's own (pg_settings); a parameter is static where PostgreSQL needs a restart.
Aurora has some four hundred of them. One that is missing here is refused: add its line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from aurora_ops.core.engine import ENGINE
from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.engine import ENGINE_VERSIONS
from aurora_ops.sandbox.parameters import formulas
from aurora_ops.sandbox.parameters import postgres_parameters as more

FAMILIES = tuple(dict.fromkeys(f"{ENGINE}{version.split('.')[0]}" for version in ENGINE_VERSIONS))
BOOLEAN, INTEGER, FLOAT, STRING, LIST = "boolean", "integer", "float", "string", "list"
STATIC, DYNAMIC = "static", "dynamic"
_MOST = 2147483647
_LEVELS = "debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic"


class ParameterError(InputError):
    """Aurora refuses it. `code` is RDS's; moto's own exceptions would import moto where it is not loaded yet."""

    code = "InvalidParameterValue"


class ParameterCombinationError(ParameterError):
    """Aurora refuses it together with something else."""

    code = "InvalidParameterCombination"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a family. `value` is the family's default; None where Aurora shows none and the engine's default applies."""

    name: str
    data_type: str = BOOLEAN
    allowed: str = "0,1"
    apply_type: str = DYNAMIC
    value: str | None = None
    modifiable: bool = True
    cluster_only: bool = False

    def describe(self) -> dict[str, Any]:
        """The API's Parameter with the family's default."""
        return {
            "ParameterName": self.name,
            **({"ParameterValue": self.value} if self.value is not None else {}),
            "Description": f"PostgreSQL's {self.name}."
            if not self.name.startswith("rds.")
            else f"Aurora's {self.name}.",
            "Source": "system" if self.value is not None else "engine-default",
            "ApplyType": self.apply_type,
            "DataType": self.data_type,
            **({"AllowedValues": self.allowed} if self.allowed else {}),
            "IsModifiable": self.modifiable,
            "ApplyMethod": "pending-reboot",
        }

    def _computed(self, value: str) -> str:
        try:
            return str(formulas.compute(value, formulas.variables(1)))
        except formulas.FormulaError as error:
            raise ParameterError(f"Invalid parameter value: {value} for: {self.name}: {error}") from None

    def check_value(self, value: str) -> None:
        """Refuse a value outside the allowed ones. A formula is computed at 1 ACU."""
        if formulas.is_formula(value):
            value = self._computed(value)
        if not self.allowed:
            return
        if self.data_type in (INTEGER, FLOAT):
            low, high = self.allowed.rsplit("-", 1)
            try:
                fits = float(low) <= (int if self.data_type == INTEGER else float)(value) <= float(high)
            except ValueError:
                fits = False
        else:
            words = value.split(",") if self.data_type == LIST else [value]
            fits = all(word.strip() in self.allowed.split(",") for word in words)
        if not fits:
            raise ParameterError(
                f"Invalid parameter value: {value} for: {self.name} allowed values are: {self.allowed}"
            )


_P = Parameter
_KNOWN = (
    _P("application_name", STRING, ""),
    _P("auto_explain.log_min_duration", INTEGER, f"-1-{_MOST}"),
    _P("autovacuum", cluster_only=True, value="1"),
    _P("autovacuum_analyze_scale_factor", FLOAT, "0-100", value="0.05", cluster_only=True),
    _P("autovacuum_max_workers", INTEGER, "1-262143", STATIC, "GREATEST({DBInstanceClassMemory/64371566592},3)", cluster_only=True),
    _P("autovacuum_naptime", INTEGER, "1-2147483", value="5", cluster_only=True),
    _P("autovacuum_vacuum_scale_factor", FLOAT, "0-100", value="0.1", cluster_only=True),
    _P("deadlock_timeout", INTEGER, f"1-{_MOST}"),
    _P("default_statistics_target", INTEGER, "1-10000"),
    _P("effective_cache_size", INTEGER, f"1-{_MOST}", value="SUM({DBInstanceClassMemory/12038},-50003)"),
    _P("fsync", modifiable=False, value="1", cluster_only=True),
    _P("full_page_writes", modifiable=False, value="1", cluster_only=True),
    _P("idle_in_transaction_session_timeout", INTEGER, f"0-{_MOST}", value="86400000"),
    _P("idle_session_timeout", INTEGER, f"0-{_MOST}"),
    _P("jit"),
    _P("lock_timeout", INTEGER, f"0-{_MOST}"),
    _P("log_autovacuum_min_duration", INTEGER, f"-1-{_MOST}", value="10000"),
    _P("log_connections"),
    _P("log_destination", STRING, "stderr", modifiable=False, value="stderr"),
    _P("log_disconnections"),
    _P("log_line_prefix", STRING, "", modifiable=False, value="%t:%r:%u@%d:[%p]:"),
    _P("log_lock_waits"),
    _P("log_min_duration_statement", INTEGER, f"-1-{_MOST}"),
    _P("log_min_error_statement", STRING, _LEVELS),
    _P("log_min_messages", STRING, _LEVELS),
    _P("log_statement", STRING, "none,ddl,mod,all"),
    _P("log_temp_files", INTEGER, f"-1-{_MOST}"),
    _P("maintenance_work_mem", INTEGER, "1024-2147483647", value="GREATEST({DBInstanceClassMemory/63963136*1024},65536)"),
    _P("max_connections", INTEGER, "6-262143", STATIC, "LEAST({DBInstanceClassMemory/9531392},5000)"),
    _P("max_locks_per_transaction", INTEGER, f"10-{_MOST}", STATIC, "64"),
    _P("max_logical_replication_workers", INTEGER, "0-262143", STATIC, cluster_only=True),
    _P("max_parallel_workers_per_gather", INTEGER, "0-1024"),
    _P("max_replication_slots", INTEGER, "0-262143", STATIC, "20", cluster_only=True),
    _P("max_wal_senders", INTEGER, "0-262143", STATIC, "20", cluster_only=True),
    _P("max_worker_processes", INTEGER, "0-262143", STATIC, "GREATEST(${DBInstanceVCPU*2},8)"),
    _P("pg_stat_statements.max", INTEGER, "100-2147483647", STATIC),
    _P("pg_stat_statements.track", STRING, "none,top,all"),
    _P("pg_stat_statements.track_utility"),
    _P("random_page_cost", FLOAT, "0-1.79769e+308"),
    _P("rds.force_autovacuum_logging_level", STRING, "disabled," + _LEVELS, value="warning"),
    _P("rds.force_ssl", value="0", cluster_only=True),
    _P("rds.log_retention_period", INTEGER, "1440-10080", value="4320"),
    _P("rds.logical_replication", apply_type=STATIC, value="0", cluster_only=True),
    _P("rds.restrict_password_commands", apply_type=STATIC, cluster_only=True),
    _P("search_path", STRING, ""),
    _P("shared_buffers", INTEGER, "16-1073741823", STATIC, "SUM({DBInstanceClassMemory/12038},-50003)"),
    _P("shared_preload_libraries", LIST, "auto_explain,orafce,pgaudit,pglogical,pg_bigm,pg_cron,pg_hint_plan,pg_prewarm,pg_similarity,pg_stat_statements,pg_tle,plprofiler,plrust", STATIC, "pg_stat_statements"),
    _P("ssl", value="1", modifiable=False, cluster_only=True),
    _P("ssl_min_protocol_version", STRING, "TLSv1,TLSv1.1,TLSv1.2,TLSv1.3", value="TLSv1.2", cluster_only=True),
    _P("statement_timeout", INTEGER, f"0-{_MOST}"),
    _P("synchronous_commit", STRING, "local,on,off"),
    _P("tcp_keepalives_idle", INTEGER, f"0-{_MOST}", value="300"),
    _P("temp_buffers", INTEGER, "100-1073741823"),
    _P("timezone", STRING, "", value="UTC", cluster_only=True),
    _P("track_activity_query_size", INTEGER, "100-1048576", STATIC, "4096"),
    _P("track_commit_timestamp", apply_type=STATIC, cluster_only=True),
    _P("track_functions", STRING, "none,pl,all"),
    _P("track_io_timing", value="1"),
    _P("vacuum_cost_limit", INTEGER, "1-10000", value="GREATEST({log(DBInstanceClassMemory/21474836480)*600},200)"),
    _P("wal_sender_timeout", INTEGER, "0-3600000", cluster_only=True),
    _P("work_mem", INTEGER, f"64-{_MOST}"),
)  # fmt: skip
_OF_VERSIONS = {17: {"rds.force_ssl": "1"}}  # defaults that differ, from this major version on


@cache
def _family(major: int) -> dict[str, Parameter]:
    changed = {
        name: value for since, values in _OF_VERSIONS.items() if major >= since for name, value in values.items()
    }
    return {
        one.name: replace(one, value=changed[one.name]) if one.name in changed else one for one in (*_KNOWN, *_more())
    }


def _more() -> Iterator[Parameter]:
    """The parameters without a default of Aurora's own."""
    for name in more.BOOLEANS:
        yield Parameter(name)
    for names, data_type in ((more.INTEGERS, INTEGER), (more.FLOATS, FLOAT), (more.CHOICES, STRING)):
        for name, allowed in names.items():
            yield Parameter(name, data_type, allowed, cluster_only=name.startswith("autovacuum"))
    for name, allowed in more.STATIC_INTEGERS.items():
        yield Parameter(name, INTEGER, allowed, STATIC, cluster_only=name.startswith("autovacuum"))
    for name in more.NOT_MODIFIABLE:
        yield Parameter(name, STRING, "", STATIC, modifiable=False, cluster_only=True)


def family(name: str, *, of_cluster: bool) -> dict[str, Parameter]:
    """A family's parameters by name; instance groups lack those that apply to a whole cluster."""
    if name not in FAMILIES:
        raise ParameterError(f"ParameterGroupFamily {name} is not a valid parameter group family")
    known = _family(int(name.removeprefix(ENGINE)))
    return {key: one for key, one in known.items() if of_cluster or not one.cluster_only}


def merge(known: dict[str, Parameter], set_by_user: dict[str, dict[str, Any]], source: str | None) -> list[Any]:
    """What DescribeDB…Parameters answers: the family with the group's own values in it, by Source where one is asked for."""
    if source not in (None, "user", "system", "engine-default"):
        raise ParameterError(f"Invalid source: {source}. Must be user, system or engine-default.")
    found = [
        one.describe() | ({**set_by_user[name], "Source": "user"} if name in set_by_user else {})
        for name, one in known.items()
    ]
    return [one for one in found if source in (None, one["Source"])]


def check(known: dict[str, Parameter], wanted: list[dict[str, Any]]) -> None:
    """Refuse what Aurora refuses before any of it is applied. moto takes any name, value and method."""
    for one in wanted:
        name = one.get("ParameterName", "")
        if name not in known:
            raise ParameterError(
                f"Could not find parameter with name: {name} (this sandbox knows {len(known)} of this kind of group)"
            )
        parameter = known[name]
        if not parameter.modifiable:
            raise ParameterError(f"The parameter {name} cannot be modified.")
        if parameter.apply_type == STATIC and one.get("ApplyMethod") == "immediate":
            raise ParameterCombinationError("cannot use immediate apply method for static parameter")
        if one.get("ParameterValue") is not None:
            parameter.check_value(str(one["ParameterValue"]))
