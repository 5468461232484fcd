"""Model endpoints and the profiles that put them in order."""
