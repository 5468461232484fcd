"""What operators do: one function for each use case, called by pages, API and commands. Nothing here depends on HTTP."""
