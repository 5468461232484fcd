"""The same turns asked of several models, their answers side by side: what they say, how long it takes, what it costs."""
