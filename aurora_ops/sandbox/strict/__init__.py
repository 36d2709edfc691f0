"""What moto lets pass and AWS does not."""
