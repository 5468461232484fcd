"""Measures what a model server really does."""

from inference.probe.measure import Probed, probe

__all__ = ["Probed", "probe"]
