"""What needs an operator's attention, and what can be done about it."""
