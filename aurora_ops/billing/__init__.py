"""Prices and the bill: pure functions from usage to dollars."""
