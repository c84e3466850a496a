"""Who answers today: a large model behind an OpenAI-compatible endpoint labels inputs, within a budget, from a cache."""
