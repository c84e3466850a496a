"""Stands in for the large model: an OpenAI-compatible server that answers what a student is sure of and forwards the
rest.

It knows artefacts, the wire and the ledger; it never learns, and never reaches torch or scikit-learn.
"""

from __future__ import annotations
