"""What Serverless v2 for PostgreSQL is called in AWS's APIs."""

ENGINE = "aurora-postgresql"
SERVERLESS_CLASS = "db.serverless"
