"""A running sandbox from other processes: start and stop, faults, controls, network. Light: no moto."""
