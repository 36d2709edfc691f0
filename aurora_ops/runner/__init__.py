"""Notebooks as runs: parameters, the engine, the verdict, the evidence."""
