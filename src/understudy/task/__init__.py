"""Tasks: typed fields, their inference from a log, parsing of answers, learnable problems."""
