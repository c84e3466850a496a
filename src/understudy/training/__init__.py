"""Base encoders, losses and one training loop. Knows nothing of rungs or ladders."""
