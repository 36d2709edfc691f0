"""What meets a request before the service does: faults, limits, controls; and what is hooked into moto."""
