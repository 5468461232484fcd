"""A turn: everything from the claim of a conversation that is due to its answer on the way to the contact."""
