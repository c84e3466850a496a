"""Published figures about the cost of language models, computed again: one file per group, one check per claim."""
