"""How a module puts itself before or around operations of moto's RDS, without touching the operation."""

from collections.abc import Callable
from typing import Any

from moto.rds.responses import RDSResponse

Operation = Callable[[RDSResponse], Any]


def before(name: str, check: Callable[[RDSResponse], None]) -> None:
    """Let `check` look at the request first. What it raises is the answer, and nothing has happened."""

    def around(self: RDSResponse, stock: Operation) -> Any:
        check(self)
        return stock(self)

    wrap(name, around)


def wrap(name: str, around: Callable[[RDSResponse, Operation], Any]) -> None:
    """Let `around` answer, with the operation as it was in its hands. A name that moto lacks is an error here, not later."""
    stock: Operation = getattr(RDSResponse, name)

    def operation(self: RDSResponse) -> Any:
        return around(self, stock)

    setattr(RDSResponse, name, operation)
