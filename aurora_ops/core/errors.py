"""What every error of this package has in common: one line that says what, why it matters and what to do.

In a notebook an error shows as that line, not as a page of traceback: the reader is an operator at three in the morning.
"""

from typing import Self


class AuroraOpsError(Exception):
    """No verdict could be reached. The runner exits with `exit_code`."""

    label = "error"
    exit_code = 3

    def as_refusal(self) -> Self:
        """The same error as a refusal: what was given is what was wrong, and nothing was changed yet."""
        self.label, self.exit_code = InputError.label, InputError.exit_code
        return self

    def _render_traceback_(self) -> list[str]:
        # IPython shows these lines instead of a traceback; the runner reads the label back from the first.
        return [f"{self.label}: {type(self).__name__}", str(self)]


class InputError(AuroraOpsError, ValueError):
    """The input was refused before anything was changed."""

    label = "input refused"
    exit_code = 2


class FindingError(AuroraOpsError):
    """A check reached a verdict, and the verdict is FAIL."""

    label = "finding"
    exit_code = 1


def did_you_mean(name: str, known: list[str]) -> str:
    """Return "Did you mean 'x'?" for the closest known name, or those that it is a part of; otherwise the list of all.

    >>> did_you_mean("enviroment", ["environment", "target"])  # codespell:ignore
    "Did you mean 'environment'?"
    >>> did_you_mean("load", ["database-load", "load-schema", "drift"])
    "Did you mean 'load-schema' or 'database-load'?"
    >>> did_you_mean("zzz", ["b", "a"])
    'Known: a, b.'
    """
    from difflib import get_close_matches

    holding = [one for one in known if name in one] if len(name) > 2 else []
    close = sorted(holding, key=lambda one: not one.startswith(name)) or get_close_matches(name, known, n=1)
    return f"Did you mean {' or '.join(map(repr, close[:3]))}?" if close else f"Known: {', '.join(sorted(known))}."
