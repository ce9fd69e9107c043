"""A model judges the drafts; the best one is the answer."""
