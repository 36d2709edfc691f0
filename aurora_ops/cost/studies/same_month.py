"""One month, one number: what `cost-per-environment` says of the month that another page speaks of, and why that differs."""

from aurora_ops.cost import plan as planning
from aurora_ops.cost.subject import Subject


def expected_usd(asked: Subject) -> float:
    """The expected month of `cost-per-environment`, in USD of the lines whose price is known."""
    return planning.environment_cost(
        asked.name, asked.book, asked.shape, asked.profile, asked.idle_acu, asked.existing, asked.as_of
    ).expected.known_usd


def sentence(asked: Subject, usd: float, question: str) -> str:
    """That both agree to the cent, or which question this page answers instead."""
    planned = expected_usd(asked)
    if round(usd, 2) == round(planned, 2):
        return f"cost-per-environment expects the same {planned:,.0f} USD a month."
    of = (
        "goes on as it was measured"
        if asked.measured
        else f"is the steady mean of profile {asked.profile.name}, a share of the range"
    )
    return f"cost-per-environment expects {planned:,.0f} USD for a month that {of}; the {usd:,.0f} of this page are {question}."
