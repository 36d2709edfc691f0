"""What is stored of the account, and how a sandbox starts from it."""
