"""Responding to an alarm: which one it is, what it means, what its cause is, and the command that mends it."""
