"""Parameter groups: families, names, formulas, and what is in force."""
