"""Texts to forms and features: folding, tokens, n-grams, numbers, spans. No task, no model."""
