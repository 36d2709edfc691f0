"""Services beside RDS: S3, prices, notifications."""
