"""Distillation losses for language models, one idea per file.

Conventions of every file: logits at a position predict the target at the same index (the caller has shifted them);
a mask is boolean and true where a position counts; values are in nats. What is masked out is taken out before
anything is computed, so infinities and NaN there reach neither the loss nor a gradient. Nothing here knows models,
optimisers or data.
"""
