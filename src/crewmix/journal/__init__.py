"""What a run did: effects, events and where they are kept."""
