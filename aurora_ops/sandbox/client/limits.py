"""The name of a limit that holds for all operations together."""

EVERY = "*"  # all operations that are not named, which have one bucket of a Region together
