"""The sandbox's rules beside moto's own behaviour: one row each. `test_against_moto.py` asks both; `make rules` writes the page.

To add a row: a `Rule` in the list of the module that it belongs to. Its question is a `call(…)`, or a function of the `Account`
that makes what it needs under a fresh `name()`. Give `moto` what the failing test shows, and `aurora` what AWS documents.
"""

from rules import backups, catalogue, clusters, observability, restores
from rules.account import Rule

CHAPTERS: dict[str, list[Rule]] = {
    "Clusters and instances": clusters.RULES,
    "Restore, failover, reboot, stop and start": restores.RULES,
    "Snapshots and automated backups": backups.RULES,
    "Catalogue, parameters and events": catalogue.RULES,
    "Metrics, alarms, logs, prices and S3": observability.RULES,
}
RULES = [rule for rules in CHAPTERS.values() for rule in rules]
