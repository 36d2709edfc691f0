"""Kernels forked from one process that has the imports: the second page of a run, and every page of `make test`, starts where others are
after a second. `server` is that process, `forked` how to start and ask it, `provisioner` what Jupyter calls.
"""
