"""The alarms of the Terraform module as it writes them, for a cluster in the sandbox: metric, limit, text. Terraform's own test holds the text."""

import re
from typing import Any

from aurora_ops.core.environments import PROJECT_ROOT

_ALARM = re.compile(
    r'^    (?P<name>[a-z-]+) += \{ metric = "(?P<metric>\w+)", (?P<side>above|below) = (?P<limit>[\w.]+), roles = \[(?P<roles>[^]]+)\], means = "(?P<means>[^"]+)" \}',
    re.MULTILINE,
)
_TEXT = re.compile(r'alarm_description = "(?P<text>\$\{each[^"]+)"')


def of_instance(
    instance: str, role: str, values: dict[str, str], limits: dict[str, float]
) -> dict[str, dict[str, Any]]:
    """What PutMetricAlarm takes, by the alarm's name in the module.

    Parameters
    ----------
    role
        As the module's keys have it: "writer" or "reader-1".
    values
        What stands for the module's expressions, such as `local.name`.
    limits
        Those that are another one here: what is scaled down, and what Terraform computes.
    """
    source = (PROJECT_ROOT / "terraform/modules/aurora/monitoring.tf").read_text()
    (template,) = [found["text"] for found in _TEXT.finditer(source)]
    made = {}
    for found in _ALARM.finditer(source):
        if f'"{role.partition("-")[0]}"' not in found["roles"]:
            continue
        name = found["name"]
        each = {
            "each.value.instance": instance,
            "each.value.means": found["means"],
            "each.value.name": name,
            "each.key": f"{role}-{name}",
        }
        text = template
        for _ in range(2):  # what it means has expressions of its own
            text = re.sub(r"\$\{([^}]+)\}", lambda one, each=each: (each | values).get(one[1], f"<{one[1]}>"), text)
        made[name] = {
            "AlarmName": f"{values['local.name']}-{role}-{name}",
            "AlarmDescription": text,
            "Namespace": "AWS/RDS",
            "MetricName": found["metric"],
            "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": instance}],
            "Statistic": "Average",
            "ComparisonOperator": "LessThanThreshold" if found["side"] == "below" else "GreaterThanThreshold",
            "Threshold": limits[name] if name in limits else float(found["limit"]),
            "TreatMissingData": "notBreaching",
        }
    return made
