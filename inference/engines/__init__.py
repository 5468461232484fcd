"""The engines that serve models, one file each, and what starts and watches them."""
