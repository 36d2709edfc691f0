"""Runs that are kept in S3: what a run left on this machine goes to a bucket, file by file, each read back before it counts.

The folder on this machine stays. Its manifest goes last: a run in a bucket without one was cut off, and is sent again.
"""

import hashlib
import mimetypes
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws.session import Session
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.runner import index

_URL = re.compile(r"s3:/{1,2}([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")  # a path has lost one of its slashes
_CHECK = ".aurora-ops"  # written before a run starts
_LAST = ("result.json", "manifest.sha256")  # the list counts a run by the first, who copies it by the second
_LOOKS = 3  # at the list, until nobody has sent a run meanwhile


class BucketRefusedError(InputError):
    """The bucket does not take or give back, so nothing was started."""


class NotSentError(AuroraOpsError):
    """A run's evidence is complete on this machine, and not in the bucket."""


class NotReadError(AuroraOpsError):
    """What is kept in the bucket cannot be read, or is not what was sent."""


def is_meant(place: object) -> bool:
    """Whether a folder for runs is one in S3."""
    return bool(re.match("s3:/", str(place or "")))


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket where runs are kept."""

    name: str
    prefix: str  # empty, or with its slash
    client: Any

    @property
    def url(self) -> str:
        """As it is written."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    def check(self) -> None:
        """Write, read and list, before anything else happens.

        Raises
        ------
        BucketRefusedError
            One of them was refused, or the bucket is not there.
        """
        content = b"Runs of aurora-ops are kept here.\n"
        try:
            self._put(_CHECK, content)
            back = self._get(_CHECK)
            self._names()
        except (ClientError, BotoCoreError) as error:
            raise BucketRefusedError(
                f"{self.url} cannot keep a run ({_said(error)}), so nothing was started. It takes s3:PutObject and s3:GetObject of "
                f"{self.url}/* and s3:ListBucket of the bucket, in the account of the run's target; or name a folder."
            ) from None
        if back != content:
            raise BucketRefusedError(
                f"{self.url} gave back something else than was written, so nothing was started. Name another bucket, or a folder."
            )

    def send(self, folder: Path) -> str:
        """Send a run's folder with all below it, the manifest last; what is there already, and the same, is left. Returns where it is.

        Raises
        ------
        NotSentError
            With the cause and how to go on. The folder is as it was.
        """
        files = sorted(
            (path for path in folder.rglob("*") if path.is_file()), key=lambda path: (_rank(path, folder), path)
        )
        try:
            for path in files:
                key, content = f"{folder.name}/{path.relative_to(folder).as_posix()}", path.read_bytes()
                if not self._has(key, content):
                    self._put(key, content)
                    if not self._has(key, content):
                        raise NotSentError(f"{self.url}/{key} is not what was sent{self._advice(folder)}")
            self._rebuild()
        except (ClientError, BotoCoreError, OSError, KeyboardInterrupt) as error:
            raise NotSentError(f"{folder.name} is not in {self.url} ({_said(error)}){self._advice(folder)}") from None
        return f"{self.url}/{folder.name}"

    def runs(self) -> list[index.Run]:
        """Every run of the place, the newest first, as on its list. Nothing is written.

        Raises
        ------
        NotReadError
            The bucket refuses, or is not there.
        """
        with self._reading():
            return self._listed(self._names())

    def fetch(self, name: str, parent: Path) -> Path:
        """Read the folder of a run into `parent`, each file compared with the run's manifest. Returns the folder.

        Raises
        ------
        NotReadError
            The bucket refuses, or a file is not what the manifest says.
        """
        folder = parent / name
        with self._reading():
            for key in self._keys(name):
                path = folder / key
                if not path.resolve().is_relative_to(folder.resolve()):  # a bucket's keys are anybody's words
                    raise NotReadError(f"{self.url}/{name}/{key} is no file of a run, so nothing of it was opened.")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._get(f"{name}/{key}") or b"")
        for line in _lines(folder / _LAST[-1]):
            wanted, _, file = line.partition("  ")
            if not (folder / file).is_file() or hashlib.sha256((folder / file).read_bytes()).hexdigest() != wanted:
                raise NotReadError(f"{self.url}/{name}/{file} is not what the run's {_LAST[-1]} says: it was changed since, or cut off.")  # fmt: skip
        return folder

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise NotReadError(
                f"{self.url} cannot be read ({_said(error)}). It takes s3:GetObject of {self.url}/* and s3:ListBucket of the bucket, "
                "in the account of --target."
            ) from None

    def _advice(self, folder: Path) -> str:
        return f". Its evidence is complete in {folder}. Send it again: aurora-ops send {folder} {self.url}"

    def _rebuild(self) -> None:
        """The list of all runs of the place; again, where somebody has sent another meanwhile."""
        names = self._names()
        for _ in range(_LOOKS):
            shown = self._listed(names)
            self._put(index.MEMORY, index.memory(shown).encode())
            self._put(index.PAGE, index.render(shown).encode())
            before, names = names, self._names()
            if before == names:
                return

    def _listed(self, names: Sequence[str]) -> list[index.Run]:
        known = index.remembered(self._text(index.MEMORY))
        found = (known.get(name) or self._run(name) for name in names)
        return [one for one in found if one is not None]

    def _run(self, name: str) -> index.Run | None:
        text = self._text(f"{name}/result.json")
        return None if text is None and self._get(f"{name}/{index.FLEET}") is not None else index.of(name, text)

    def _names(self) -> list[str]:
        """Folders of the place, the newest first."""
        pages: Iterator[dict[str, Any]] = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=self.prefix, Delimiter="/"
        )
        found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
        return sorted((one.removeprefix(self.prefix).rstrip("/") for one in found), reverse=True)

    def _keys(self, name: str) -> list[str]:
        """Files of a folder of the place, by their names in it."""
        prefix = f"{self.prefix}{name}/"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [one["Key"].removeprefix(prefix) for page in pages for one in page.get("Contents", []) if not one["Key"].endswith("/")]  # fmt: skip

    def _put(self, key: str, content: bytes) -> None:
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        self.client.put_object(Bucket=self.name, Key=self.prefix + key, Body=content, ContentType=kind)

    def _get(self, key: str) -> bytes | None:
        try:
            body: bytes = self.client.get_object(Bucket=self.name, Key=self.prefix + key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None
        return body

    def _text(self, key: str) -> str | None:
        return None if (found := self._get(key)) is None else found.decode("utf-8", "replace")

    def _has(self, key: str, content: bytes) -> bool:
        found = self._get(key)
        return found is not None and hashlib.sha256(found).digest() == hashlib.sha256(content).digest()


def of(url: object, session: Session) -> Bucket:
    """The place that `s3://BUCKET/PREFIX` names, asked with the credentials of the session.

    Raises
    ------
    BucketRefusedError
        It names no bucket. Nothing was asked.
    """
    found = _URL.fullmatch(str(url))
    if found is None:
        raise BucketRefusedError(
            f"{re.sub('^s3:/+', 's3://', str(url))} names no bucket, so nothing was started. Write s3://BUCKET or s3://BUCKET/PREFIX."
        )
    prefix = "/".join(filter(None, (found[2] or "").split("/")))
    return Bucket(found[1], f"{prefix}/" if prefix else "", session.to_writable().client("s3"))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _rank(path: Path, folder: Path) -> int:
    return _LAST.index(path.name) + 1 if path.parent == folder and path.name in _LAST else 0


def _said(error: BaseException) -> str:
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response['Error'].get('Code')}"
    return " ".join(str(error).split()) or "it was interrupted"
