"""A model's Markdown as messengers show it, and long texts in parts."""

from __future__ import annotations

from bots.channels.markup.dialects import PLAIN, WHATSAPP
from bots.channels.markup.marks import clean
from bots.channels.markup.render import render, to_plain, to_whatsapp
from bots.channels.markup.split import split, split_bytes
from bots.channels.markup.wrapped import unwrapped

__all__ = ["PLAIN", "WHATSAPP", "clean", "render", "split", "split_bytes", "to_plain", "to_whatsapp", "unwrapped"]
