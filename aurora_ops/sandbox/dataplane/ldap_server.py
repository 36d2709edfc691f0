"""The LDAP server that PostgreSQL asks about a login by IAM token: a subset of LDAP, a simple bind and its answer.

PostgreSQL has no IAM authentication (RDS adds it by PAM). Its `ldap` method sends name and password to an LDAP server, which here is
this process, on loopback. The name is a prefix from pg_hba.conf followed by the user, unescaped. The prefix identifies the PostgreSQL
server and contains no text of the user's, so all that follows it is the user. Protocol: RFC 4511; of BER (X.690) only what a bind needs.
"""

import logging
import socket
import socketserver
import threading
from collections.abc import Callable

from aurora_ops.core.errors import AuroraOpsError

log = logging.getLogger(__name__)
SEPARATOR = "/"
SUCCESS, INVALID_CREDENTIALS, PROTOCOL_ERROR = 0, 49, 2
_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x02, 0x04, 0x0A
_BIND, _BIND_ANSWER, _UNBIND, _SIMPLE = 0x60, 0x61, 0x42, 0x80
_LONGEST = 65536  # PostgreSQL cuts a password at 64 KiB
_TIMEOUT_SECONDS = 10.0

Check = Callable[[str, str, str, str], None]  # cluster's folder, server's folder, user, token; raises when refused


class LoginRefusedError(AuroraOpsError):
    """A token is refused. The reason is written to the server's log and not sent to the client."""


def _refuse_all(cluster: str, server: str, user: str, token: str) -> None:
    raise LoginRefusedError("the sandbox is still starting")


class LdapServer:
    """Listens on a loopback port from its creation until `close`. `check` accepts or refuses a login."""

    def __init__(self) -> None:
        self.check: Check = _refuse_all
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="ldap", daemon=True).start()

    def access_rules(self, cluster: str, server: str) -> str:
        """The lines of pg_hba.conf for members of rds_iam on one server: a token by TLS, and no other login."""
        prefix = SEPARATOR.join((cluster, server, ""))
        port = self._server.server_address[1]
        return (
            f'hostssl   all +rds_iam 127.0.0.0/8 ldap ldapserver=127.0.0.1 ldapport={port} ldapprefix="{prefix}"\n'
            "hostnossl all +rds_iam 127.0.0.0/8 reject\n"
        )

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, name: str, password: str) -> tuple[int, str]:
        """Result code and diagnostic message of a bind."""
        cluster, first, rest = name.partition(SEPARATOR)
        server, second, user = rest.partition(SEPARATOR)
        if not (first and second and user):
            return INVALID_CREDENTIALS, f"no user in {name!r}"
        try:
            self.check(cluster, server, user, password)
        except LoginRefusedError as refused:
            return INVALID_CREDENTIALS, str(refused)
        except Exception:  # a login that cannot be checked is refused
            log.exception("login of %s", user)
            return INVALID_CREDENTIALS, "the sandbox failed to check the token; see its log"
        return SUCCESS, ""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    owner: LdapServer


class _Handler(socketserver.BaseRequestHandler):
    """One connection: binds until the client unbinds or disconnects."""

    request: socket.socket
    server: _Server

    def handle(self) -> None:
        self.request.settimeout(_TIMEOUT_SECONDS)
        try:
            with self.request.makefile("rb") as stream:
                while (message := _read(stream.read)) is not None:
                    number, kind, body = message
                    if kind == _UNBIND:
                        return
                    code, text = self._bind(body) if kind == _BIND else (PROTOCOL_ERROR, "only simple binds")
                    self.request.sendall(_bind_answer(number, code, text))
        except (OSError, ValueError, IndexError) as error:
            log.warning("a login's LDAP connection ended: %s", error)

    def _bind(self, body: bytes) -> tuple[int, str]:
        _, _, rest = _split(body)  # the version
        _, name, rest = _split(rest)
        kind, password, _ = _split(rest)
        if kind != _SIMPLE:
            return PROTOCOL_ERROR, "only simple binds"
        return self.server.owner.answer(name.decode(errors="replace"), password.decode(errors="replace"))


def _read(read: Callable[[int], bytes]) -> tuple[int, int, bytes] | None:
    """The next LDAPMessage: its number, its kind, its body; None at the end."""
    head = read(2)
    if len(head) < 2:
        return None
    length = head[1]
    if length & 0x80:
        length = int.from_bytes(read(length & 0x7F))
    if head[0] != _SEQUENCE or length > _LONGEST + 1024:
        raise ValueError(f"no LDAP message of an acceptable length: {head.hex()}, {length} bytes")
    _, number, rest = _split(read(length))
    kind, body, _ = _split(rest)
    return int.from_bytes(number), kind, body


def _split(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it.

    >>> _split(b"\\x04\\x02abcd")
    (4, b'ab', b'cd')
    """
    tag, length, at = data[0], data[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(data[2:at])
    if len(data) < at + length:
        raise ValueError("a truncated LDAP message")
    return tag, data[at : at + length], data[at + length :]


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 0x80 else bytes([0x82]) + size.to_bytes(2)
    return bytes([tag]) + length + content


def _bind_answer(number: int, code: int, text: str) -> bytes:
    result = _element(_ENUMERATED, bytes([code])) + _element(_OCTETS, b"") + _element(_OCTETS, text.encode()[:1000])
    size = max(1, (number.bit_length() + 8) // 8)
    return _element(_SEQUENCE, _element(_INTEGER, number.to_bytes(size)) + _element(_BIND_ANSWER, result))
