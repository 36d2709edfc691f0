"""What a restored copy has to show before it counts as one."""
