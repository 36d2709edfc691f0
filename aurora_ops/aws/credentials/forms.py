"""The parameter `login` as people write it: who logs in, and where the near end of a tunnel listens."""

import re
from dataclasses import dataclass

from aurora_ops.core.errors import InputError

FORMS = "secret:NAME-OR-ARN, iam:USER, env: for libpq's own variables and password file, or nothing to have it found"
TUNNEL = "through a tunnel to the cluster endpoint, add host=HOST,port=PORT of its near end, as in iam:USER,host=127.0.0.1,port=15432"
_OPTION = re.compile(r"(?:^|,)\s*(?P<name>host|port)\s*=\s*(?P<value>[^,]*?)\s*$")
_PORTS = range(1, 65536)


class LoginError(InputError):
    """`login` is of no known form, or names or leads to no user and password."""


@dataclass(frozen=True)
class Tunnel:
    """Where the near end of a tunnel, or a forwarding host, listens. `port` None: the cluster's own."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Form:
    """`login` taken apart. `kind` is secret, iam, env, or empty where the login is to be found."""

    kind: str
    name: str
    tunnel: Tunnel | None = None


def read(login: str) -> Form:
    """Take `login` apart, before anything is asked for.

    >>> read("iam:reporting,host=127.0.0.1,port=15432")
    Form(kind='iam', name='reporting', tunnel=Tunnel(host='127.0.0.1', port=15432))
    >>> read("host=::1")
    Form(kind='', name='', tunnel=Tunnel(host='::1', port=None))

    Raises
    ------
    LoginError
        It is none of `FORMS`, or its tunnel has no host or no port that could be one.
    """
    rest, options = login.strip(), dict[str, str]()
    while found := _OPTION.search(rest):
        if found["name"] in options:
            raise _refused(login, f"{found['name']} is given twice")
        options[found["name"]] = found["value"]
        rest = rest[: found.start()]
    kind, colon, name = (part.strip() for part in rest.partition(":"))
    if rest and not (colon and ((kind == "env" and not name) or (kind in ("iam", "secret") and name))):
        raise _refused(login, "it is none of the forms")
    return Form(kind, name, _tunnel(login, options))


def _tunnel(login: str, options: dict[str, str]) -> Tunnel | None:
    if not options:
        return None
    if not options.get("host"):
        raise _refused(login, "a port without a host says no tunnel; the cluster's own port is known")
    text = options.get("port")
    if text is not None and not (text.isascii() and text.isdigit() and int(text) in _PORTS):
        raise _refused(login, f"port={text} is no port")
    return Tunnel(options["host"], None if text is None else int(text))


def _refused(login: str, why: str) -> LoginError:
    # What was given may hold a password, where somebody expected a connection string.
    shown = repr(login) if len(login) < 60 and "://" not in login and "password" not in login.lower() else "the value"
    return LoginError(f"login={shown} is no way in ({why}), so nothing was connected to. Use {FORMS}; {TUNNEL}.")
