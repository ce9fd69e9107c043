"""The model that needs no model: extraction, ranking and rules."""
