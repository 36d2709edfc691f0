"""Many clusters in many accounts: which there are, one page over all of them on Dask, and what was found, on one page."""
