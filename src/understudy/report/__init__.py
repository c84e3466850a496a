"""The report, the console summary and the model card of a run. Package data: ``script.js``."""
