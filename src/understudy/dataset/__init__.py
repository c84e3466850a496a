"""Prepared data: typed columns, near-duplicate groups, splits, facts about the teacher."""
