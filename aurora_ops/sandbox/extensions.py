"""Which extensions a master user can create, as RDS lets one.

PostgreSQL lets only a superuser create an extension that is not marked as trusted, and RDS lets members of rds_superuser create all of
its list, though none is a superuser. Here the servers run from a folder of their own, a copy of the programs' installation in which the
extensions of that list are trusted and the others are not there. An extension that is not trusted by PostgreSQL itself asks in its
script whether the creator is a member of rds_superuser, and grants to that role what RDS does; so nothing of this shows in a database.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path

from aurora_ops.sandbox.client.state import passable, root_directory

# SHOW rds.extensions of an Aurora PostgreSQL 15 (pgvector/pgvector#209), and vector, which came to it after that was written.
SUPPORTED = frozenset(
    [
        "address_standardizer",
        "address_standardizer_data_us",
        "amcheck",
        "apg_plan_mgmt",
        "aurora_stat_utils",
        "autoinc",
        "aws_commons",
        "aws_lambda",
        "aws_ml",
        "aws_s3",
        "bloom",
        "bool_plperl",
        "btree_gin",
        "btree_gist",
        "citext",
        "cube",
        "dblink",
        "dict_int",
        "dict_xsyn",
        "earthdistance",
        "fuzzystrmatch",
        "hll",
        "hstore",
        "hstore_plperl",
        "insert_username",
        "intagg",
        "intarray",
        "ip4r",
        "isn",
        "jsonb_plperl",
        "lo",
        "log_fdw",
        "ltree",
        "moddatetime",
        "oracle_fdw",
        "orafce",
        "pg_bigm",
        "pg_buffercache",
        "pg_cron",
        "pg_freespacemap",
        "pg_hint_plan",
        "pg_partman",
        "pg_prewarm",
        "pg_proctab",
        "pg_repack",
        "pg_similarity",
        "pg_stat_statements",
        "pg_trgm",
        "pg_visibility",
        "pgaudit",
        "pgcrypto",
        "pglogical",
        "pgrouting",
        "pgrowlocks",
        "pgstattuple",
        "pgtap",
        "plcoffee",
        "plls",
        "plperl",
        "plpgsql",
        "plprofiler",
        "pltcl",
        "plv8",
        "postgis",
        "postgis_raster",
        "postgis_tiger_geocoder",
        "postgis_topology",
        "postgres_fdw",
        "prefix",
        "rdkit",
        "rds_tools",
        "refint",
        "seg",
        "sslinfo",
        "tablefunc",
        "tcn",
        "tds_fdw",
        "tsm_system_rows",
        "tsm_system_time",
        "unaccent",
        "uuid-ossp",
        "vector",
    ]
)
# What RDS lets members of rds_superuser do with an extension that PostgreSQL keeps for superusers.
_EACH_FUNCTION = """DO $grant$ DECLARE one regprocedure; BEGIN
    FOR one IN SELECT objid FROM pg_depend JOIN pg_extension ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid
                WHERE classid = 'pg_proc'::regclass AND extname = '{name}' LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO rds_superuser', one);
    END LOOP;
END $grant$"""
_WRAPPER = "GRANT USAGE ON FOREIGN DATA WRAPPER {wrapper} TO rds_superuser WITH GRANT OPTION"
_GRANTS = {
    "amcheck": _EACH_FUNCTION.replace("{name}", "amcheck"),
    "dblink": _WRAPPER.format(wrapper="dblink_fdw"),
    "pg_stat_statements": _EACH_FUNCTION.replace("{name}", "pg_stat_statements"),
    "postgres_fdw": _WRAPPER.format(wrapper="postgres_fdw"),
}
_GATE = """DO $gate$ BEGIN
    IF NOT pg_has_role($owner$@extowner@$owner$::regrole, 'rds_superuser', 'MEMBER') THEN
        RAISE insufficient_privilege USING MESSAGE = 'permission denied to create extension "{name}"', HINT = 'Must be superuser to create this extension.';
    END IF;
END $gate$;
"""
_TRUSTED = re.compile(r"^\s*trusted\s*=\s*'?true'?", re.MULTILINE)
_DIRECTORY = re.compile(r"^\s*directory\s*=", re.MULTILINE)
_VERSION = re.compile(r"^\s*default_version\s*=\s*'([^']+)'", re.MULTILINE)


def available(share: Path, *, trusted_only: bool = False) -> tuple[str, ...]:
    """The extensions of RDS's list that this installation has; or those of them that PostgreSQL itself trusts."""
    extensions = share / "extension"
    return tuple(
        name for name in _names(extensions) if name in SUPPORTED and (not trusted_only or _is_trusted(extensions, name))
    )


def with_rds_list(bin_directory: Path, share: Path, libraries: Path, version: str) -> Path:
    """The folder of programs whose server has RDS's list of extensions; the given one where its own list is that already."""
    extensions = share / "extension"
    bin_directory = (bin_directory / "postgres").resolve().parent
    if bin_directory.is_relative_to(root_directory() / "programs"):
        return bin_directory  # named by someone who saw where the servers run
    if all(name in SUPPORTED and _is_trusted(extensions, name) for name in _names(extensions)):
        return bin_directory
    tree = root_directory() / "programs" / f"{version}-rds-{_version_of(extensions, bin_directory)}"
    # The server finds the others by their places relative to its own.
    top = Path(os.path.commonpath([bin_directory, share, libraries]))
    if not tree.exists():
        temporary = passable(tree.parent) / f"{tree.name}.{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that was cut off
        passable(temporary)
        _link_all(bin_directory, temporary / bin_directory.relative_to(top), but="postgres")
        # A copy: through a link the server would find the folder that the link leads to, and the extensions there.
        shutil.copy2(bin_directory / "postgres", temporary / bin_directory.relative_to(top) / "postgres")
        linked = temporary / libraries.relative_to(top)
        linked.parent.mkdir(parents=True, exist_ok=True)
        linked.symlink_to(libraries)
        _link_all(share, temporary / share.relative_to(top), but="extension")
        _write(extensions, temporary / share.relative_to(top) / "extension")
        _open(temporary)
        try:
            temporary.rename(tree)
        except OSError:  # another process was first
            shutil.rmtree(temporary)
    return tree / bin_directory.relative_to(top)


def _names(extensions: Path) -> list[str]:
    return sorted(one.stem for one in extensions.glob("*.control") if "--" not in one.stem)


def _version_of(extensions: Path, bin_directory: Path) -> str:
    """Of all that the tree is made of: this module, and the installation, which an upgrade or one more package changes."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for path in [bin_directory / "postgres", *sorted(extensions.iterdir())]:
        found.update(f"{path}{path.stat().st_size}{path.stat().st_mtime_ns}".encode())
    return found.hexdigest()[:12]


def _link_all(source: Path, target: Path, but: str) -> None:
    target.mkdir(parents=True)
    for one in source.iterdir():
        if one.name != but:
            (target / one.name).symlink_to(one)


def _open(tree: Path) -> None:
    """Let the servers' user read all of it, whatever the umask."""
    for folder, _, names in os.walk(tree):
        Path(folder).chmod(0o755)
        for one in (Path(folder) / name for name in names):
            if not one.is_symlink():
                one.chmod(0o755 if one.name == "postgres" else 0o644)


def _is_trusted(extensions: Path, name: str) -> bool:
    return _TRUSTED.search((extensions / f"{name}.control").read_text()) is not None


def _write(source: Path, target: Path) -> None:
    target.mkdir()
    for name in _names(source):
        control = (source / f"{name}.control").read_text()
        if name not in SUPPORTED:
            continue
        if _TRUSTED.search(control) or _DIRECTORY.search(control):
            for one in _files_of(source, name):
                (target / one.name).symlink_to(one)
            continue
        (target / f"{name}.control").write_text(f"{control}\ntrusted = true\n")
        found = _VERSION.search(control)
        for script in _files_of(source, name):
            if script.suffix == ".sql":
                (target / script.name).write_text(_script(script, name, found.group(1) if found else ""))
            elif script.name != f"{name}.control":
                (target / script.name).symlink_to(script)


def _files_of(source: Path, name: str) -> list[Path]:
    return [one for one in source.iterdir() if one.name == f"{name}.control" or one.name.startswith(f"{name}--")]


def _script(path: Path, name: str, version: str) -> str:
    """The script; one that an installation begins with asks who creates it, and one that it can end with grants."""
    versions = path.stem.split("--")[1:]
    gate = _GATE.replace("{name}", name) if len(versions) == 1 else ""
    grant = f"\n{_GRANTS[name]};\n" if name in _GRANTS and versions[-1] == version else ""
    return gate + path.read_text() + grant
