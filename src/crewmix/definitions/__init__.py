"""YAML in, checked roles, tasks and crews out."""
