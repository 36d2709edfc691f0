"""Why a database is slow."""
