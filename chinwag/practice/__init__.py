"""The practice platforms that ship: strict, logged, scriptable."""
