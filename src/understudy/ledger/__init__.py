"""The ledger: which calls were served, who answered, what it cost and what it would have cost.

The only SQL of the project. The modules that a server needs on the way of a call (``record``, ``audit``,
``spool``, ``group_commit``, ``drain``, ``masking``, ``errors``) do not import SQLAlchemy; ``database`` and what builds on
it do.
"""
