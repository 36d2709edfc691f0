"""`python -m aurora_ops.sandbox NAME [OWNER_PID] [ORIGIN]`: the sandbox's own process. People use `aurora-ops sandbox start`.

OWNER_PID 0: nobody's, the sandbox outlives who started it. ORIGIN: the folder that it begins as a copy of.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aurora_ops.errors import AuroraOpsError
from aurora_ops.sandbox.ground import prepare


def main(name: str, owner: str = "0", origin: str = "") -> None:
    """Run the sandbox until it is told to stop."""
    owner_pid = int(owner) or None
    with ThreadPoolExecutor(1) as early:
        # Servers start, or files are copied, while this thread imports moto.
        ground = early.submit(prepare, name, is_private=owner_pid is not None, origin=Path(origin) if origin else None)
        from aurora_ops.sandbox import app

        app.main(name, owner_pid, ground.result())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except AuroraOpsError as error:
        sys.exit(f"{error.label}: {error}")
