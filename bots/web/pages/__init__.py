"""Pages for operators, rendered on the server."""
