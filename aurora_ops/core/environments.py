"""The environments dev, stg and prod: one file of values each, read by Terraform and by us.

`terraform/environments/<name>/terraform.tfvars.json` is the single place where a floor, a ceiling or a retention stands.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora_ops.core.errors import InputError, did_you_mean

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("dev", "stg", "prod")


class UnknownEnvironmentError(InputError):
    """The name is none of dev, stg, prod."""


@dataclass(frozen=True)
class Settings:
    """The values of one environment, by the names of the module's inputs. Capacities in ACU, retention in days."""

    region: str
    project_name: str
    environment: str
    database_name: str
    master_username: str
    master_password_version: int
    engine_version: str
    allow_major_version_upgrade: bool
    engine_lifecycle_support: str
    min_capacity: float
    max_capacity: float
    seconds_until_auto_pause: int | None
    storage_type: str
    backup_retention_period: int
    preferred_backup_window: str
    preferred_maintenance_window: str
    apply_immediately: bool
    reader_count: int
    reader_promotion_tier: int
    deletion_protection: bool
    skip_final_snapshot: bool
    performance_insights_enabled: bool
    database_insights_mode: str
    log_retention_days: int
    alarm_sns_topic_arn: str | None
    restore_proof_hours: int | None
    tags: dict[str, str]

    @property
    def name(self) -> str:
        """Prefix of every name that the Terraform module gives."""
        return f"{self.project_name}-{self.environment}-aurora"

    @property
    def cluster_identifier(self) -> str:
        """Identifier of the DB cluster, as in the spec's restore example."""
        return f"{self.name}-cluster"

    @property
    def instance_identifiers(self) -> list[str]:
        """The writer, then the readers."""
        return [f"{self.name}-writer", *(f"{self.name}-reader-{number}" for number in range(1, self.reader_count + 1))]

    @property
    def reader_tiers(self) -> tuple[int, ...]:
        """Promotion tiers of the readers, as the Terraform module gives them: the first stands by, the others scale on their own."""
        first = self.reader_promotion_tier
        return tuple(first if number == 0 else max(2, first) for number in range(self.reader_count))

    @property
    def secret_name(self) -> str:
        """Secrets Manager secret that holds the master password, as plain text."""
        return f"{self.project_name}/{self.environment}/aurora/master"

    @property
    def key_alias(self) -> str:
        """Alias of the KMS key."""
        return f"alias/{self.name}"


def directory(name: str) -> Path:
    """The Terraform root of an environment."""
    if name not in ENVIRONMENTS:
        raise UnknownEnvironmentError(
            f"environment={name!r} is unknown: there is no Terraform root of that name. {did_you_mean(name, list(ENVIRONMENTS))}"
        )
    return PROJECT_ROOT / "terraform" / "environments" / name


def settings(name: str) -> Settings:
    """Read the values of environment `name` (dev, stg or prod)."""
    values: dict[str, Any] = json.loads((directory(name) / "terraform.tfvars.json").read_text())
    return Settings(**values)
