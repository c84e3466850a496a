"""Generative students: small decoders, dense or mixture of experts, and how they are trained."""
