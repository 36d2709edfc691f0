"""`python -m aurora_ops.sandbox NAME [OWNER_PID] [ORIGIN]`: the sandbox's own process. People use `aurora-ops sandbox start`.

OWNER_PID 0: no owner, the sandbox continues when the process that started it ends. ORIGIN: the folder that it starts as a copy of.
"""

import gc
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.account.bootstrap import prepare


@contextmanager
def _each_file_read_once() -> Iterator[None]:
    """While moto is imported: it asks several sessions of boto3 for the regions, and each parses botocore's table of them again.

    EC2's types of instances, which no database runs on, are not read: two tenths of a second of every start.
    """
    from botocore.loaders import JSONFileLoader
    from moto.utilities import utils

    parse, load = JSONFileLoader._load_file, utils.load_resource
    known = cache(lambda path, opened: parse(JSONFileLoader(), path, opened))
    JSONFileLoader._load_file = lambda _, path, opened: known(path, opened)
    utils.load_resource = lambda resource: {} if resource.startswith("ec2/resources/instance_type") else load(resource)
    try:
        yield
    finally:
        JSONFileLoader._load_file, utils.load_resource = parse, load


def _be_account(name: str) -> None:
    """A sandbox whose name ends with twelve digits is the account of that id: several play an organisation's accounts. Before moto reads it."""
    if found := re.search(r"(?<!\d)\d{12}$", name):
        import moto.core.models

        for module in (moto.core, moto.core.models):
            setattr(module, "DEFAULT_ACCOUNT_ID", found[0])  # noqa: B010 - which moto does not export


def main(name: str, owner: str = "0", origin: str = "") -> None:
    """Run the sandbox until it is told to stop."""
    owner_pid = int(owner) or None
    with ThreadPoolExecutor(1) as early:
        # Servers start, or files are copied, while this thread imports moto.
        bootstrap = early.submit(
            prepare, name, is_private=owner_pid is not None, origin=Path(origin) if origin else None
        )
        gc.disable()
        with _each_file_read_once():
            _be_account(name)
            from aurora_ops.sandbox import app

        gc.freeze()  # moto's modules stay: neither their import nor a request pays for going through them
        gc.enable()
        app.main(name, owner_pid, bootstrap.result())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except AuroraOpsError as error:
        sys.exit(f"{error.label}: {error}")
