"""The commands of `aurora-ops`, one module for each subject. What they do stands below: here are options, words and exit codes only."""
