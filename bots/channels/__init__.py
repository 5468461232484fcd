"""The platforms: how their webhooks are checked and read, and how messages are written and sent."""
