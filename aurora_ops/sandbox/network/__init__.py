"""Which client reaches an endpoint: placed clients, security groups, network ACLs, routes."""
