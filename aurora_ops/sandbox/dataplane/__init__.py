"""Real PostgreSQL behind clusters: servers, endpoints, backups and recovery."""
