"""Logins by IAM token: the check, and the policies that allow it."""
