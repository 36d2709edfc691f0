"""Every layer that this sandbox puts over moto, in the one order that holds: the outermost first.

So this is also the order of refusals: a call that breaks several rules gets the answer of the first in the list. What is meant to see
only calls that succeed (events, transitions) stands inside of what refuses, or answers after the operation. Each module says in its
`LAYERS` which operations it stands on; `chain` says what one operation passes.

Not layers: moto's classes of clusters, instances and of RDS's backend are replaced as a whole (`rds.backend.install`).
"""

from collections.abc import Iterator

from moto.rds.responses import RDSResponse

from aurora_ops.sandbox.availability import autopause
from aurora_ops.sandbox.observe import alarms, cloudwatch, logs, metric_math
from aurora_ops.sandbox.rds import events, responses
from aurora_ops.sandbox.requests import not_built
from aurora_ops.sandbox.requests.layers import Layer, put_on
from aurora_ops.sandbox.services import s3
from aurora_ops.sandbox.strict import (
    catalogue,
    descriptions,
    groups,
    pages,
    quotas,
    reference_rules,
    setting_rules,
    transitions,
)

LAYERS: tuple[Layer, ...] = (
    *pages.LAYERS,  # outermost, so that what is being deleted is on a page, too
    *transitions.LAYERS,
    *quotas.LAYERS,
    *reference_rules.LAYERS,
    *setting_rules.LAYERS,
    *events.LAYERS,  # inside of the rules, so that a refused call leaves no event
    *autopause.LAYERS,
    *logs.LAYERS,
    *groups.LAYERS,
    *catalogue.LAYERS,
    *descriptions.LAYERS,
    *responses.LAYERS,
    # Other services than RDS.
    *alarms.LAYERS,
    *metric_math.LAYERS,
    *cloudwatch.LAYERS,
    *s3.LAYERS,
    # Every service.
    *not_built.LAYERS,
)


def install() -> None:
    """Put the layers on moto's classes, in this process."""
    put_on(LAYERS)


def chain(operation: str, owner: type = RDSResponse) -> Iterator[str]:
    """What one operation passes, from the outermost to the one that answers; moto's own where no layer replaces it."""
    for layer in LAYERS:
        if (layer.owner, layer.method) == (owner, operation):
            yield layer.name
            if layer.replaces:
                return
    yield "moto"
