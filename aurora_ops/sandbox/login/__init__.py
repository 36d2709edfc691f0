"""Logins by IAM token: the LDAP server that PostgreSQL asks, the check, the policies."""
