"""A local Aurora to rehearse on: the RDS control plane on moto, real PostgreSQL behind it."""
