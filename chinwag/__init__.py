"""The front door: command line, local stack, practice platform."""

__version__ = "0.1.0"
