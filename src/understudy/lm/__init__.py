"""Generative students: language models that write what the teacher wrote. Knows nothing of rungs or ladders."""
