"""From verdict to use: a recommended recipe -> a model that is kept, and what it predicts."""
