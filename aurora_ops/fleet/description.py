"""What a fleet is: `fleet.toml`, or every profile of this machine.

An account is an AWS profile, a role that a profile assumes, or, to rehearse, a sandbox. One that is named is looked at or refuses; it is
never left out in silence.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.runner import refusals

FILE = "fleet.toml"
Value = str | bool | int | float


class FleetFileError(InputError):
    """The description of a fleet cannot be used."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Account(_Strict):
    """One account, and how it is reached."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=60)
    profile: str = ""  # of AWS
    role_arn: str = Field(
        default="", pattern=r"^(arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+)?$"
    )  # that the profile assumes
    external_id: str = ""
    sandbox: str = ""  # a local Aurora by its name
    regions: tuple[str, ...] = ()  # empty: the fleet's
    parameters: Mapping[str, Value] = {}
    at_once: int = Field(default=0, ge=0)  # clusters of this account at a time; 0: the fleet's

    @model_validator(mode="after")
    def _reached_one_way(self) -> "Account":
        if bool(self.profile) == bool(self.sandbox):
            raise ValueError("give a profile, or a sandbox to rehearse on: one of the two")
        if self.sandbox and self.role_arn:
            raise ValueError("a sandbox has no role to assume: role_arn goes with a profile")
        return self


class Fleet(_Strict):
    """Accounts, where to look in them, what belongs to the fleet, and what a page is given for it."""

    accounts: tuple[Account, ...]
    regions: tuple[str, ...] = ("ap-northeast-1",)
    tags: Mapping[str, str] = {}  # a cluster has all of them
    exclude: tuple[str, ...] = ()  # identifiers, with * and ?
    parameters: Mapping[str, Value] = {}  # of the page, for every cluster
    clusters: Mapping[str, Mapping[str, Value]] = {}  # the same by identifier, with * and ?
    at_once_per_account: int = Field(default=4, ge=1)
    at_once_per_region: int = Field(default=2, ge=1)  # of an account: AWS limits calls by account and region

    @model_validator(mode="after")
    def _whole(self) -> "Fleet":
        if not self.accounts:
            raise ValueError("accounts: name one at least, as [[accounts]]")
        names = [one.name for one in self.accounts]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"accounts: {twice!r} is there twice")
        for region in {*self.regions, *(one for account in self.accounts for one in account.regions)}:
            try:
                refusals.region(region)
            except ValueError as error:
                raise ValueError(f"regions: {region!r}: {error}") from None
        return self

    def regions_of(self, account: Account) -> tuple[str, ...]:
        """Where to look in an account."""
        return tuple(dict.fromkeys(account.regions or self.regions))


def read(path: Path) -> Fleet:
    """The fleet that a file describes.

    Raises
    ------
    FleetFileError
        It is not there, is no TOML, or names what there is not; with the nearest name. Nothing was asked yet.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetFileError(
            f"{path} cannot be read ({error.strerror}), so no fleet is known. Write it (docs/fleets.md has one), name it with --fleet, "
            "or look at every profile of this machine with --all."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FleetFileError(f"{path} is no TOML ({error}), so no fleet is known and nothing was asked.") from None
    return parse(content, str(path))


def parse(content: Mapping[str, Any], where: str) -> Fleet:
    """The same of what stands in the file; `where` is named in a refusal."""
    try:
        return Fleet.model_validate(_tuples(content))
    except ValidationError as error:
        raise FleetFileError(f"{where}: {_first(error)} Nothing was asked.") from None


def every_profile(profiles: list[str], regions: list[str]) -> Fleet:
    """A fleet of every profile of this machine; an account that two of them reach is counted once (see `discovery`)."""
    if not profiles:
        raise FleetFileError(
            "--all means every AWS profile of this machine, and there is none. Make one with `aws configure sso`, or describe the fleet in fleet.toml."
        )
    accounts = [{"name": _as_name(profile), "profile": profile} for profile in profiles]
    return parse({"accounts": accounts, "regions": regions}, "--all")


def _as_name(profile: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in profile)
    return kept.lstrip("._-")[:60] or "profile"


def _tuples(value: Any) -> Any:
    """TOML has lists, and a description is not changed: by pydantic's strict mode a list is no tuple."""
    if isinstance(value, Mapping):
        return {name: _tuples(one) for name, one in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _first(error: ValidationError) -> str:
    """The first fault, by the path in the file."""
    fault = error.errors(include_url=False)[0]
    place = [str(one) for one in fault["loc"]]
    if fault["type"] == "extra_forbidden":
        model = Account if place[0] == "accounts" else Fleet
        return f"{'.'.join(place)} is no key of a fleet. {did_you_mean(place[-1], list(model.model_fields))}"
    said = str(fault["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(place)}: {said}".removeprefix(": ") + ("" if said.endswith("?") else ".")
