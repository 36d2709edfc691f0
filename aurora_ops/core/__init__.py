"""What every room stands on: errors, what is shown, plans with an id, environments, times, the journal, waiting."""
