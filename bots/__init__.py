"""The messaging wing: channels, storage, web. It knows no engine."""
