"""The engines that serve models, one file each."""
