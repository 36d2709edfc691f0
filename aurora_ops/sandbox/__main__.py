"""`python -m aurora_ops.sandbox NAME [OWNER_PID]`: the sandbox's own process. People use `aurora-ops sandbox start`."""

import sys

from aurora_ops.errors import AuroraOpsError
from aurora_ops.sandbox.app import main

if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
    except AuroraOpsError as error:
        sys.exit(f"{error.label}: {error}")
