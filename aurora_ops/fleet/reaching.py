"""How an account of a fleet is reached: by what a run's `target` is, and by what its environment says.

A role becomes a profile of a configuration of our own, so that a page is told a profile as ever, and botocore assumes and renews the role.
The file has names and ARNs; keys stay where they are.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path

from aurora_ops.aws.session import SANDBOX, Session, open_session, sandbox_session
from aurora_ops.fleet.description import Account
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import NAME_VARIABLE

CONFIG = "AWS_CONFIG_FILE"


def target(account: Account) -> str:
    """What a page's `target` is for this account."""
    if account.sandbox:
        return SANDBOX
    return f"aurora-ops-fleet-{account.name}" if account.role_arn else account.profile


def environment(account: Account) -> dict[str, str]:
    """What a run needs in its environment besides."""
    return {NAME_VARIABLE: account.sandbox} if account.sandbox else {}


def configuration(accounts: Iterable[Account]) -> str:
    """This machine's configuration of AWS with a profile for each role; empty where there is no role."""
    roles = [one for one in accounts if one.role_arn]
    if not roles:
        return ""
    own = Path(os.environ.get(CONFIG) or "~/.aws/config").expanduser()
    text = own.read_text(encoding="utf-8") if own.is_file() else ""
    for one in roles:
        source = "default" if one.profile == "default" else one.profile
        external = f"external_id = {one.external_id}\n" if one.external_id else ""
        text += (
            f"\n[profile {target(one)}]\nrole_arn = {one.role_arn}\nsource_profile = {source}\n"
            f"role_session_name = aurora-ops-fleet\n{external}{_kept(own, source)}"
        )
    return text


def _kept(path: Path, profile: str) -> str:
    """The partner's endpoints and bundles that the source profile has: a role is asked for where the profile is."""
    parser = RawConfigParser()
    parser.read(path)
    section = profile if profile == "default" else f"profile {profile}"
    names = ("sts_regional_endpoints", "ca_bundle", "region", "endpoint_url")
    return "".join(
        f"{name} = {parser[section][name]}\n" for name in names if section in parser and name in parser[section]
    )


@contextmanager
def configured(text: str) -> Iterator[Mapping[str, str]]:
    """Within it, this process and those that it starts read the configuration; nothing changes where it is empty."""
    if not text:
        yield {}
        return
    before = os.environ.get(CONFIG)
    with tempfile.NamedTemporaryFile("w", suffix=".ini", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.environ[CONFIG] = file.name
        try:
            yield {CONFIG: file.name}
        finally:
            os.environ.pop(CONFIG)
            if before is not None:
                os.environ[CONFIG] = before


def session(account: Account, region: str) -> Session:
    """A read-only session of an account; a sandbox that does not run is started.

    Raises
    ------
    UnknownTargetError
        There is no such profile, or its credentials are refused.
    """
    return opened(account.sandbox, target(account), region)


def opened(sandbox: str, target: str, region: str) -> Session:
    """The same by the sandbox that plays the account, or where that is empty by what a page's `target` is."""
    return sandbox_session(lifecycle.start(sandbox), region) if sandbox else open_session(target, region)
