"""Database load as a model: bundles of answers, what they mean, how they look."""
