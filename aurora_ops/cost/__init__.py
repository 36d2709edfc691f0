"""What an environment costs: plans, forecasts, options, and their tables and charts."""
