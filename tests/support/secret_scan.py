"""Looks for secrets in what a run leaves in files, and in what it passes on to processes while it runs."""

import base64
import html
import io
import itertools
import json
import re
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape  # no parser

PROC = Path("/proc")
PAUSE_SECONDS = 0.02
TOKEN = re.compile(rb"X-Amz-Signature=[0-9a-f]{64}")  # of an IAM login, or of any other presigned URL


def contents(folder: Path | str) -> dict[str, bytes]:
    """Every file below, by its path there; a zip's members beside it. PostgreSQL removes some of its own while they are read."""
    found = {}
    for path in Path(folder).rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                found[name] = path.read_bytes()
                found |= {f"{name}/{member}": content for member, content in _members(found[name])}
    return found


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """A saved plan of Terraform is a zip."""
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
        yield from ((name, archive.read(name)) for name in archive.namelist())


def forms(secret: str) -> set[bytes]:
    """How a secret can stand in a file: as it is, in JSON, in a URL, in HTML, in an attribute of XML, in base64."""
    xml = escape(secret, {'"': "&quot;"})
    texts = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), html.escape(secret), escape(secret), xml}
    return {text.encode() for text in texts} | {base64.b64encode(secret.encode())}


def holding(found: Mapping[str, bytes], secrets: Iterable[str]) -> set[str]:
    """Names of what holds one of the secrets, or a token."""
    wanted = {form for secret in secrets for form in forms(secret)}
    return {name for name, content in found.items() if any(form in content for form in wanted) or TOKEN.search(content)}


class Watch:
    """Reads, while it is open, the arguments and the environment of every process of the machine, and every plan below
    `folder`, about twice a second.

    `found()` has them by a name that says where they were. A process that lives for less than a few hundredths of a second is missed.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._found: dict[str, bytes] = {}
        self._seen: set[tuple[str, bytes]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def found(self) -> dict[str, bytes]:
        """What was seen so far."""
        return self._found.copy()  # in one step, while the thread adds

    def programs(self) -> set[str]:
        """Names of the programs that were seen."""
        return {
            Path(content.split(b"\0")[0].decode(errors="replace")).name
            for name, content in self.found().items()
            if name.startswith("arguments of ")
        }

    def _run(self) -> None:
        for turn in itertools.count():
            if self._ended.wait(PAUSE_SECONDS):
                return
            for process in PROC.iterdir():
                if process.name.isdigit():
                    with suppress(OSError):
                        self._read(process)
            for plan in () if turn % 25 else self.folder.rglob("*.tfplan"):
                with suppress(OSError):
                    content = plan.read_bytes()
                    self._found[f"plan {plan.name}"] = content
                    self._found |= {f"plan {plan.name}/{name}": member for name, member in _members(content)}

    def _read(self, process: Path) -> None:
        arguments = (process / "cmdline").read_bytes()
        if (
            not arguments or (process.name, arguments) in self._seen
        ):  # a forked process has its parent's until it becomes another
            return
        self._seen.add((process.name, arguments))
        named = f"{process.name} {arguments.split(bytes(1))[0].decode(errors='replace')}"
        self._found[f"arguments of {named} {len(self._seen)}"] = arguments
        self._found[f"environment of {named} {len(self._seen)}"] = (process / "environ").read_bytes()
