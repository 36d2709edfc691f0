"""A running sandbox as other processes hold it: start and stop, faults, controls, places. Light: no moto."""
