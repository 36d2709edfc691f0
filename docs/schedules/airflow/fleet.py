"""A fleet's nightly restore drills, its sweep and its weekly cost page, by Airflow 3.

A cluster is one mapped task. Airflow says when and how many at a time; the plan's folder sees to it that no cluster is drilled twice. Airflow
needs nothing of the package: it starts the program of a clone, and learns which clusters there are from its JSON.
"""

import json
import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG

CLONE = os.environ.get("AURORA_OPS_CLONE", "/srv/aurora-ops")  # the same on every worker, as is the folder of runs
PROGRAM = os.environ.get("AURORA_OPS_PROGRAM", f"{CLONE}/.venv/bin/aurora-ops")
FLEET = os.environ.get("AURORA_OPS_FLEET", f"{CLONE}/fleet.toml")
RUNS = os.environ.get("AURORA_OPS_RUNS", f"{CLONE}/runs")
AT_ONCE = int(os.environ.get("AURORA_OPS_AT_ONCE", "4"))  # clusters at a time; each drill is a copy: mind the quota
PATHS = {"PROGRAM": PROGRAM, "FLEET": FLEET, "RUNS": RUNS}


def clusters(output):
    """The environment of each mapped task, from the last line that the plan printed."""
    return [PATHS | {"FOLDER": one["folder"], "KEY": one["key"]} for one in json.loads(output)]


def over_the_fleet(page, options, *, at_once, retries):
    """Plan a page, run it once for each cluster, and report. The report comes last: a DAG's run has the state of its last tasks."""
    plan = BashOperator(
        task_id="plan",
        bash_command=f'"$PROGRAM" fleet plan {page} --fleet "$FLEET" --output-dir "$RUNS" {options}',
        env=PATHS,
        append_env=True,
        output_processor=clusters,
        retries=2,  # it starts nothing
        retry_delay=timedelta(minutes=1),
    )
    each = BashOperator.partial(
        task_id="cluster",
        bash_command='"$PROGRAM" fleet one "$FOLDER" "$KEY"',
        append_env=True,
        map_index_template="{{ task.env['KEY'] }}",
        max_active_tis_per_dag=at_once,
        retries=retries,
        skip_on_exit_code=None,  # 1 a finding, 2 refused, 3 no verdict: none of them is a success
        execution_timeout=timedelta(hours=5),  # a run's own deadline, --each, is four
    ).expand(env=plan.output)
    report = BashOperator(
        task_id="report",
        bash_command='"$PROGRAM" fleet report "$FOLDER"',
        env=PATHS | {"FOLDER": "{{ (ti.xcom_pull(task_ids='plan') or [{}])[0].get('FOLDER', '') }}"},
        append_env=True,
        trigger_rule="all_done",  # a cluster that failed is what it is for; it ends with the gravest run's code
    )
    plan >> each >> report
    return each


COMMON = {"start_date": datetime(2026, 1, 1, tzinfo=UTC), "catchup": False, "max_active_runs": 1, "tags": ["aurora"]}

# A second try would be a second copy, and the folder refuses it: the next night's drill comes anyway.
with DAG("aurora_fleet_drills", schedule="17 2 * * *", **COMMON):
    drilled = over_the_fleet(
        "restore-drill",
        "-p depth=quick -p max_cost_usd=20 -p publish_metric=true --budget-usd 500",
        at_once=AT_ONCE,
        retries=0,
    )
    # A DAG of its own, so that there is one sweep at a time; and beside the report, whose failure the night's run has to show.
    drilled >> TriggerDagRunOperator(task_id="sweep", trigger_dag_id="aurora_fleet_sweep", trigger_rule="all_done")

# By day too: what a lost machine left expires after four hours. One cluster after the other: they share an account's leftovers.
with DAG("aurora_fleet_sweep", schedule="47 */4 * * *", **COMMON):
    over_the_fleet("clean-up-restore-drills", "-p scheduled=true", at_once=1, retries=0)

with DAG("aurora_fleet_cost", schedule="7 6 * * 1", **COMMON):
    over_the_fleet("cost-per-environment", "", at_once=AT_ONCE, retries=2)
