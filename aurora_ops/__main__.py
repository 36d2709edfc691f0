"""The command line: `aurora-ops`, also `python -m aurora_ops`.

Exit codes: 0 passed, 1 failed (a finding), 2 input refused, 3 error (no verdict reached), 128 + n ended by signal n.
"""

import os
import signal
import sys
from typing import Any

import click

from aurora_ops.commands.base import Commands
from aurora_ops.commands.completion import completion
from aurora_ops.commands.fleet.program import fleet
from aurora_ops.commands.lists import clusters, list_, policy
from aurora_ops.commands.new import new
from aurora_ops.commands.notebooks import notebooks_
from aurora_ops.commands.run import rehearse, run
from aurora_ops.commands.runs import open_, send, status
from aurora_ops.commands.sandbox import sandbox
from aurora_ops.commands.schema import schema
from aurora_ops.core import places


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="aurora-ops", prog_name="aurora-ops")
def cli() -> None:
    """Operate Aurora PostgreSQL Serverless v2, and rehearse it on a local Aurora."""
    places.make_whole()
    # nbformat imports jsonschema, and that a grammar of IRIs that takes a second to build (python-jsonschema/jsonschema#1428). No
    # notebook's schema asks for an IRI: in a process of ours jsonschema does without, as where the module is not installed.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


for command in (
    list_,
    run,
    open_,
    status,
    send,
    rehearse,
    clusters,
    fleet,
    policy,
    schema,
    sandbox,
    notebooks_,
    new,
    completion,
):
    cli.add_command(command)


def main() -> None:
    """Entry point. SIGTERM and SIGHUP end the process as Ctrl-C does: by way of every `finally`."""

    def leave(signum: int, _: Any) -> None:
        sys.exit(128 + signum)

    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, leave)
    # The kernel is this environment's, not one that is registered for the user under the same name.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
