"""What meets a request before the service does: faults, limits, controls; and what a layer over moto is."""
