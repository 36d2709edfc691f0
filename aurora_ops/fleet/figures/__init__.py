"""What a fleet is told without a page for each cluster: costs, ranges."""
