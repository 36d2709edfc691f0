"""What every study starts from: one environment, its shape, the prices of a region, and the profile that is assumed for it."""

from dataclasses import dataclass, replace
from datetime import date

from aurora_ops.billing import price_book
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.billing.usage import Usage
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.rules import MEASURED, Rules
from aurora_ops.capacity.shape import Shape
from aurora_ops.core import environments
from aurora_ops.core.environments import Settings
from aurora_ops.cost import profiles
from aurora_ops.cost.profiles import Profile


@dataclass(frozen=True)
class Subject:
    """An environment as its `terraform.tfvars.json` describes it, and by what it is billed. `as_of` dates the prices' age."""

    environment: str
    settings: Settings
    shape: Shape
    book: PriceBook
    as_of: date
    profile: Profile

    @property
    def usage(self) -> Usage:
        """The profile's month besides compute."""
        return self.profile.usage(self.shape.retention_days)

    def readers(self, demand: Demand) -> list[tuple[int, Demand | None]]:
        """Tier and demand of each reader: one that scales on its own is taken to be as busy as the writer."""
        return [(tier, demand if tier > 1 else None) for tier in self.shape.reader_tiers]


def subject(environment: str, region: str, as_of: str) -> Subject:
    """The environment in a region; `as_of` empty means today.

    Raises
    ------
    UnknownEnvironmentError, UnknownPriceError, InputError
        There is no such environment, no prices of that region, or the day is none.
    """
    settings, book, on = environments.settings(environment), price_book.book(region), price_book.day(as_of)
    profile = profiles.profile(profiles.default(environment))
    return Subject(environment, settings, Shape.of(settings), book, on, profile)


def rules(idle_acu: float) -> Rules:
    """The measured rules of scaling, with another capacity at which an idle instance comes to rest."""
    return replace(MEASURED, idle_acu=idle_acu)
