"""What is remembered, measured: `python -m bench.memory NAME ...`."""
