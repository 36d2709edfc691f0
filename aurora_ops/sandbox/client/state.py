"""The folders of sandboxes: one private folder each, which an unprivileged server can still traverse."""

import errno
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from aurora_ops.core import places
from aurora_ops.core.errors import AuroraOpsError

HOME_VARIABLE = places.HOME
NAME_VARIABLE = "AURORA_OPS_SANDBOX"
NEEDED_BYTES = 300 * 2**20  # a cluster, its backup and a restored copy
ACCOUNT_FILE = "account.pickle"
FORMAT = 8  # of that file, and of how a sandbox's folder is laid out
FRESH = "fresh"  # as a name: a private sandbox that ends with the process that asked for it


class StateError(AuroraOpsError):
    """The state folder cannot be used."""


@dataclass(frozen=True)
class State:
    """A running sandbox, as its state.json describes it. Times are epoch seconds."""

    name: str
    pid: int
    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    directory: str
    started_at: float
    programs: str
    note: str = ""
    ca_bundle: str = ""  # certificate of the CA that the databases' certificates are signed by; empty: they have no TLS

    @property
    def variables(self) -> dict[str, str]:
        """AWS_… variables with which any SDK, the AWS CLI or Terraform uses this sandbox.

        PGSSLROOTCERT with which psql and every libpq verify its databases (`sslmode=verify-full`), where they have TLS.
        """
        tls = {"PGSSLROOTCERT": self.ca_bundle} if self.ca_bundle else {}
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": "ap-northeast-1",
            "AWS_DEFAULT_REGION": "ap-northeast-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        } | tls

    def describe(self) -> str:
        """Lines for `sandbox status`."""
        note = f"\n{self.note}" if self.note else ""
        return f"sandbox {self.name}: running at {self.endpoint_url} (pid {self.pid}), {self.programs}; capacity is simulated{note}"


def root_directory() -> Path:
    """The folder of all sandboxes of this user: `AURORA_OPS_HOME`, else the user's state folder.

    Root's own home is closed to the unprivileged user that runs PostgreSQL, so root's sandboxes are in /var/tmp.
    """
    places.make_whole()  # the sandbox's process works in another folder
    if chosen := os.environ.get(HOME_VARIABLE):
        root = Path(chosen)
    elif os.geteuid() == 0:
        root = Path("/var/tmp", "aurora-ops-root")  # noqa: S108 - made 0711 and checked to be ours
    else:
        root = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "aurora-ops"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o711)
        if root.stat().st_uid != os.geteuid():
            raise StateError(
                f"the state folder {root} belongs to another user, so the sandbox does not trust it. Name another with {HOME_VARIABLE}."
            )
        if (free := shutil.disk_usage(root).free) < NEEDED_BYTES:
            raise OSError(errno.ENOSPC, f"{free // 2**20} MiB free, {NEEDED_BYTES // 2**20} needed")
        with tempfile.TemporaryFile(dir=root) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space, or name another with" if full else "Name another with"
        raise StateError(
            f"the state folder {root} cannot be written ({error.strerror}), so the sandbox cannot start. {advice} {HOME_VARIABLE}."
        ) from None
    if os.geteuid() == 0:
        root.chmod(0o711)
    return root


def passable(path: Path) -> Path:
    """Create a folder that other users can traverse but not list, whatever the umask; its parents too."""
    for folder in [p for p in (*reversed(path.parents), path) if not p.exists()]:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
    return path


def sandbox_directory(name: str) -> Path:
    """The folder of the sandbox `name`."""
    return root_directory() / "sandboxes" / name


def read(name: str) -> State | None:
    """The state that the sandbox `name` wrote when it started; None when it does not run."""
    try:
        return State(**json.loads((sandbox_directory(name) / "state.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(state: State) -> None:
    """Publish the state in one step: a reader sees the old file or the new one. It holds keys, so only the owner reads it."""
    path = Path(state.directory) / "state.json"
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(asdict(state)))
    temporary.rename(path)


def keys_in_file(variables: dict[str, str], folder: Path) -> dict[str, str]:
    """Variables for a child process with the keys in a file of `folder`, as in ~/.aws/credentials, that only its owner reads.

    A process's environment is inherited by each of its own, and by every plugin that Terraform starts.
    """
    keys = {name: variables[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    path = folder / "credentials"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:  # mode 0600
        file.write("[default]\n" + "".join(f"{name.lower()} = {value}\n" for name, value in keys.items()))
    os.replace(file.name, path)
    others = {name: value for name, value in variables.items() if name not in keys}
    return others | {"AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_CONFIG_FILE": os.devnull}
