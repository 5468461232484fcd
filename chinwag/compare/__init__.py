"""Several models are asked the same turns; their answers side by side: what they say, how long it takes, what it costs."""
