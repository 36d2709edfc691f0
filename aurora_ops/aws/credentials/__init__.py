"""What the parameter `login` says, and the users and passwords that secrets hold."""
