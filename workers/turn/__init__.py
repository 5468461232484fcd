"""A turn: everything between the claim of a conversation that is due and its answer on the way to the contact."""
