"""How the objects of an account are pickled: which are stored, which are created anew, which are looked up.

Pickle alone fails at threads, sockets, processes and keys, and stores moto's buckets wrongly. Never unpickle a file from elsewhere:
a pickle runs code.
"""

import copyreg
import io
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PosixPath
from typing import Any

from cryptography import x509
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives import serialization

from aurora_ops.sandbox.dataplane.ldap_server import LdapServer
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.dataplane.programs import Programs
from aurora_ops.sandbox.dataplane.tls import Authority

TRIES = 20  # of a dictionary that another request changes while it is read
Reducer = Callable[[Any], tuple[Any, ...]]


class Context:
    """What an unpickled object may refer to. Pickle calls functions with values only, so it is a module's state."""

    directory = Path()
    plane: DataPlane


def _inside(relative: str) -> Path:
    return Context.directory / relative


def _programs(major: int) -> Programs:
    return Context.plane.programs_of(major)


def _authority() -> Authority | None:
    return Context.plane.authority


def _ldap_server() -> LdapServer | None:
    return Context.plane.ldap_server


def _nothing() -> None:
    return None


def _private_key(der: bytes) -> Any:
    return serialization.load_der_private_key(der, None)


def _reduce_key(key: Any) -> tuple[Any, ...]:
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return _private_key, (der,)


def _certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _reduce_path(path: Path) -> tuple[Any, ...]:
    """A path below the sandbox's folder is stored relative to it, since the folder may be copied."""
    if path.is_relative_to(Context.directory):
        return _inside, (str(path.relative_to(Context.directory)),)
    return PosixPath, (str(path),)


_REDUCERS: dict[type, Reducer] = {
    PosixPath: _reduce_path,
    Programs: lambda one: (_programs, (one.major,)),
    Authority: lambda _: (_authority, ()),
    LdapServer: lambda _: (_ldap_server, ()),
    subprocess.Popen: lambda _: (_nothing, ()),
    socket.socket: lambda _: (_nothing, ()),
    threading.Thread: lambda _: (_nothing, ()),
    type(threading.Lock()): lambda _: (threading.Lock, ()),
    type(threading.RLock()): lambda _: (threading.RLock, ()),
    threading.Event: lambda _: (threading.Event, ()),
    openssl.rsa.RSAPrivateKey: _reduce_key,
    openssl.ec.ECPrivateKey: _reduce_key,
    x509.Certificate: lambda one: (_certificate, (one.public_bytes(serialization.Encoding.PEM),)),
}


def dump(value: Any, more: dict[type, Reducer] | None = None) -> bytes:
    """The object as bytes, while other threads may change it."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    reducers: dict[type, Callable[[Any], Any]] = {**copyreg.dispatch_table, **_REDUCERS, **(more or {})}
    pickler.dispatch_table = reducers
    for attempt in range(TRIES):
        try:
            pickler.dump(value)
        except RuntimeError:  # "dictionary changed size during iteration"
            if attempt == TRIES - 1:
                raise
            pickler.clear_memo()
            buffer.seek(0)
            buffer.truncate()
            time.sleep(0.002)
        else:
            break
    return buffer.getvalue()


class Backends:
    """moto's backends as plain data: service -> account -> region -> backend. Imported late: moto takes a second."""

    def __init__(self) -> None:
        from moto.backends import get_backend
        from moto.core.base_backend import BackendDict
        from moto.iam.models import AWSManagedPolicy
        from moto.s3.utils import _VersionedKeyStore

        self._find: Any = get_backend
        self._used: list[Any] = BackendDict._instances  # type: ignore[misc]  # generic in moto, one list for all services
        self._reducers: dict[type, Reducer] = {AWSManagedPolicy: _reduce_policy, _VersionedKeyStore: _reduce_versions}

    @property
    def reducers(self) -> dict[type, Reducer]:
        """How moto's own types are pickled, for the services in use."""
        ssm = sys.modules.get("moto.ssm.models")
        return self._reducers | ({ssm.SimpleSystemManagerBackend: _reduce_backend} if ssm else {})

    def collect(self, regions: set[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """The backends of these regions. moto has more, which no request used: those of other partitions, and us-east-1."""
        return {
            one.backend.__module__.split(".")[1]: {  # moto's name, by which it is found again
                account: {name: backend for name, backend in list(dict.items(found)) if name in regions}
                for account, found in list(dict.items(one))
            }
            for one in list(self._used)
        }

    def restore(self, found: dict[str, dict[str, dict[str, Any]]]) -> None:
        """Make these the backends that answer requests."""
        for service, accounts in found.items():
            for account, regions in accounts.items():
                for region, backend in regions.items():
                    self._find(service)[account][region] = backend
                    if (
                        service == "s3"
                    ):  # moto stores the owners apart: without them, creating a bucket again empties it
                        owners = self._find("s3").bucket_accounts
                        owners.update(dict.fromkeys(backend.buckets, (backend.partition, account)))


def _reduce_policy(policy: Any) -> tuple[Any, ...]:
    """AWS's own policies come with moto, 4 MB of them; only how often each is attached belongs to the account."""
    return _policy, (policy.account_id, policy.partition, policy.arn, policy.attachment_count)


def _reduce_backend(backend: Any) -> tuple[Any, ...]:
    """A backend with dictionaries whose default is a lambda: created anew, and filled."""
    state = {name: dict(value) if isinstance(value, defaultdict) else value for name, value in vars(backend).items()}
    return type(backend), (backend.region_name, backend.account_id), state, None, None, _fill_backend


def _fill_backend(backend: Any, state: dict[str, Any]) -> None:
    for name, value in state.items():
        if isinstance(fresh := getattr(backend, name, None), defaultdict):
            fresh.update(value)
        else:
            setattr(backend, name, value)


def _reduce_versions(store: Any) -> tuple[Any, ...]:
    """A bucket's objects. As a dictionary it shows the newest version of each only."""
    return type(store), (), {key: store.getlist(key) for key in list(store)}, None, None, _set_versions


def _set_versions(store: Any, versions: dict[str, list[Any]]) -> None:
    for key, known in versions.items():
        store.setlist(key, known)


def _policy(account: str, partition: str, arn: str, attached: int) -> Any:
    from moto.iam.models import iam_backends

    policy = iam_backends[account][partition].managed_policies[arn]
    policy.attachment_count = attached
    return policy
