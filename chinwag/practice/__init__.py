"""The practice platforms that ship with Chinwag: strict, logged, scriptable."""
