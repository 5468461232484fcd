"""The command line, the local stack and the practice platform."""

__version__ = "0.1.0"
