"""Ours beside others who answer on WhatsApp with a model: replies a second, CPU a turn, memory, added time, and what is left after kill -9."""
