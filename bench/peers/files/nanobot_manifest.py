"""What nanobot reads of a channel package before it loads it."""

from nanobot.channels.plugin import ChannelPlugin

PLUGIN = ChannelPlugin(name="cloud", display_name="WhatsApp Cloud", runtime=f"{__package__}.runtime:CloudChannel")
