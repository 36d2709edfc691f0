"""Evidence that is kept outside this machine."""
