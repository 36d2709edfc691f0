"""What survives the process: the account, and the servers at the next start."""
