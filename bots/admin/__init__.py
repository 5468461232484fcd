"""What operators do: one function a use case, for pages, API and commands. Knows no HTTP."""
