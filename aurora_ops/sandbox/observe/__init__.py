"""Samples, metrics, alarms, logs, and the Performance Insights API."""
