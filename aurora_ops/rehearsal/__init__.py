"""The worlds of the sandbox, and the whole way end to end."""
