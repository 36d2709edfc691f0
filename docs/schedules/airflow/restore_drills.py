"""Restore drills and their sweeper, by Airflow's PapermillOperator.

The operator runs plain papermill in the worker and takes no engine: after an error or a signal the clean-up cell does not run, and the copy stays until it has
expired (4 hours) and the sweeper has found it. That is what the second DAG is for. A verdict of FAIL is a failed task. Where every copy has to go at once,
call `aurora-ops run restore-drill` from a BashOperator instead.
"""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.providers.papermill.operators.papermill import PapermillOperator

PROJECT = "/srv/aurora-ops"
COMMON = {"target": "drills", "environment": "prod"}
DEFAULTS = {
    "retries": 0,
    "execution_timeout": timedelta(hours=6),
}  # a second try would be a second copy: the next night's comes anyway

with DAG(
    "restore_drill",
    schedule="17 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as restore_drill:
    PapermillOperator(
        task_id="restore_drill",
        input_nb=f"{PROJECT}/runbooks/restore-drill.ipynb",
        output_nb=f"{PROJECT}/runs/restore-drill-{{{{ ts_nodash }}}}.ipynb",
        parameters=COMMON | {"depth": "quick", "publish_metric": True, "max_cost_usd": 20.0},
    )

with DAG(
    "clean_up_restore_drills",
    schedule="47 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as clean_up_restore_drills:
    PapermillOperator(
        task_id="clean_up_restore_drills",
        input_nb=f"{PROJECT}/runbooks/clean-up-restore-drills.ipynb",
        output_nb=f"{PROJECT}/runs/clean-up-restore-drills-{{{{ ts_nodash }}}}.ipynb",
        parameters=COMMON | {"scheduled": True},
    )
