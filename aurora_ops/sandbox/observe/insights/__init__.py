"""What Performance Insights are answered from: counters, queues for locks, statistics of statements, dimensions, and windows of samples."""
