"""ACU: ranges, the demand for them, how capacity follows it, and what was measured."""
