"""What a task is made of: sources, splits, tokens, batches, metrics."""
