"""What changes an instance without a call of the API: automatic pause and resume, recovery after a crash, injected faults."""
