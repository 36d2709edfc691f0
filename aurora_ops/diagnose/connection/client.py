"""What a client meets before it logs in: the name, TCP, TLS, and the server's first answer. No driver, no login, no AWS.

The first answer is PostgreSQL's own: to a startup message it asks for a password, and by which method, or says why it does not.
"""

import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_PROTOCOL = 196608
_METHODS = {0: "trust", 3: "cleartext", 5: "md5", 10: "scram"}  # a member of rds_iam is asked for cleartext: the token
REFUSED, SILENT, UNREACHABLE = "refused", "no answer", "unreachable"


@dataclass(frozen=True)
class Answer:
    """What came back. `outcome` is empty where it went well; `said` is for people."""

    outcome: str = ""
    said: str = ""
    sqlstate: str = ""  # of a server that gives an error in place of a question
    method: str = ""  # by which it asks for a password
    addresses: tuple[str, ...] = ()


def resolve(host: str, port: int) -> Answer:
    """The addresses that this machine's resolver has for a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Answer("unknown", error.strerror or str(error))
    return Answer(addresses=tuple(dict.fromkeys(str(one[4][0]) for one in found)))


def reach(host: str, port: int, timeout_seconds: float) -> Answer:
    """Whether TCP connects."""
    try:
        socket.create_connection((host, port), timeout_seconds).close()
    except TimeoutError:
        return Answer(SILENT, f"no answer within {timeout_seconds:g} s")
    except ConnectionRefusedError:
        return Answer(REFUSED, "connection refused")
    except OSError as error:
        return Answer(UNREACHABLE, error.strerror or str(error))
    return Answer()


def secure(host: str, port: int, name: str, ca_file: str, timeout_seconds: float) -> Answer:
    """Whether TLS comes up and the certificate is one of the authorities' in `ca_file`, for `name`."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        return Answer("no authorities", f"{ca_file}: {getattr(error, 'strerror', None) or error}")
    try:
        with socket.create_connection((host, port), timeout_seconds) as raw:
            raw.sendall(_SSL_REQUEST)
            if raw.recv(1) != b"S":
                return Answer("no TLS", "the server offers no TLS")
            with context.wrap_socket(raw, server_hostname=name):
                return Answer()
    except ssl.SSLCertVerificationError as error:
        named = "hostname" in error.verify_message.lower() or "ip address" in error.verify_message.lower()
        return Answer("other name" if named else "unknown authority", error.verify_message)
    except (OSError, ssl.SSLError) as error:
        return Answer("failed", str(error))


def greet(host: str, port: int, user: str, database: str, timeout_seconds: float) -> Answer:
    """What the server says to a startup message of this user and database: nothing secret is sent, so no certificate is asked for."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    pairs = b"".join(part.encode() + b"\0" for part in ("user", user, "database", database)) + b"\0"
    message = struct.pack("!II", len(pairs) + 8, _PROTOCOL) + pairs
    try:
        with socket.create_connection((host, port), timeout_seconds) as raw:
            raw.sendall(_SSL_REQUEST)
            plain = raw.recv(1) != b"S"
            with raw if plain else context.wrap_socket(raw, server_hostname=host) as stream:
                stream.sendall(message)
                return _first(stream)
    except TimeoutError:
        return Answer(SILENT, f"connected, and no answer within {timeout_seconds:g} s")
    except (OSError, ssl.SSLError) as error:
        return Answer("cut", str(error) or "the connection was closed")


def _first(stream: socket.socket) -> Answer:
    head = _exactly(stream, 5)
    kind, (length,) = head[:1], struct.unpack("!I", head[1:])
    body = _exactly(stream, min(length, 65536) - 4)
    if kind == b"R":
        return Answer(method=_METHODS.get(struct.unpack("!I", body[:4])[0], "other"))
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    with suppress(KeyError):
        return Answer("error", fields[b"M"], fields[b"C"])
    return Answer("error", "an answer that is not PostgreSQL's")


def _exactly(stream: socket.socket, number: int) -> bytes:
    read = b""
    while len(read) < number:
        part = stream.recv(number - len(read))
        if not part:
            raise OSError("the connection was closed without a word")
        read += part
    return read
