"""How the web is served to strangers: each resource that a connection takes has a bound, a deadline and an answer for whoever passes it."""
