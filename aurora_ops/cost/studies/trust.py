"""How far the simulator can be trusted: its figures beside those of real runs."""

from aurora_ops.capacity import validation
from aurora_ops.capacity.validation import Comparison
from aurora_ops.core.display import Table


def table() -> Table:
    """The simulator beside the real runs: what it meets, and what it misses."""
    compared = validation.validate()
    missed = sum(not one.holds for one in compared)
    return Table(
        f"The simulator beside five real runs: {len(compared) - missed} of {len(compared)} figures met, {missed} missed",
        ("run", "what", "measured", "simulated", "error", "", "fitted"),
        [
            (one.run, f"{one.kind} {one.what}" if one.kind == "climb" else one.what, _band(one, one.measured), _band(one, one.simulated),
             f"{one.error:+.0%}", "met" if one.holds else "MISSED", "yes" if one.fitted else "no")
            for one in compared
        ],
        "Climbs: seconds, met within 25 %. Falls: seconds after the load, met inside the band that the unknown phase of the ticks "
        "allows. ACU-hours: against a reconstruction from the run's marks, lowest to highest. One parameter set, fitted on the climbs "
        f"of two runs. Source: {validation.packaged()['source']}.",
    )  # fmt: skip


def _band(one: Comparison, band: tuple[float, float]) -> str:
    form = "{:.2f}" if one.kind == "ACU-hours" else "{:.0f}"
    return "–".join(dict.fromkeys(form.format(value) for value in band))
