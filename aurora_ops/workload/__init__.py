"""Load on a database: clients, and the content that they work on."""
