"""A signature by the user's own program, such as minisign or GnuPG: we keep no key and choose no algorithm."""

import shlex
import shutil
import subprocess
from pathlib import Path

from aurora_ops.core.display import Check, mask
from aurora_ops.core.errors import InputError

FILE = "{file}"
_SECONDS = 60


class SignatureError(InputError):
    """The program that is to sign is not there, so nothing was started."""


def command(sign_with: str, file: Path | str = FILE) -> list[str]:
    """The words of the command, with the file in its place: where it says `{file}`, else at the end. No shell reads it.

    >>> command("gpg --batch --yes --armor --detach-sign", "evidence.html")
    ['gpg', '--batch', '--yes', '--armor', '--detach-sign', 'evidence.html']
    >>> command("minisign -S -m {file} -t 'restore drill'", "evidence.html")
    ['minisign', '-S', '-m', 'evidence.html', '-t', 'restore drill']
    """
    try:
        words = shlex.split(sign_with)
    except ValueError as error:
        raise SignatureError(
            f"sign_with={sign_with!r} is no command ({error}), so nothing was started. Close the quotes."
        ) from None
    if not any(FILE in word for word in words):
        words.append(FILE)
    return [word.replace(FILE, str(file)) for word in words]


def check(sign_with: str) -> None:
    """Refuse before anything starts if the program is not there.

    Raises
    ------
    SignatureError
        It is no command, or its program is not installed.
    """
    if sign_with and shutil.which(program := command(sign_with)[0]) is None:
        raise SignatureError(
            f"sign_with={sign_with!r} cannot be used, so nothing was started: there is no program {program!r} here. "
            "Install it, give its path, or leave sign_with empty."
        )


def sign(sign_with: str, file: Path) -> Check:
    """Sign a file: PASS names what came beside it. No input is given, so a key that asks for a password has to be unlocked already."""
    name, before = "the evidence is signed", {one.name for one in file.parent.iterdir()}
    try:
        done = subprocess.run(
            command(sign_with, file.name), cwd=file.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(name, "FAIL", f"{type(error).__name__}: {mask(str(error))}")
    made = sorted({one.name for one in file.parent.iterdir()} - before)
    if done.returncode or not made:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        why = f"exit code {done.returncode}" if done.returncode else "it made no file beside the page"
        return Check(name, "FAIL", f"{why}: {mask(said)}" if said else why)
    return Check(name, "PASS", ", ".join(made))
