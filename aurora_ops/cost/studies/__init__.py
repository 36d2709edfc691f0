"""The studies behind the pages on ranges, options and history."""
