"""Who reaches an endpoint: places, security groups, network ACLs, routes."""
