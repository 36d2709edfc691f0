"""What moto lets pass and AWS does not: layers over RDS's operations. In which order: `moto_layers`."""
