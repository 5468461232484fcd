"""The web: webhooks in, health, the chat page and the admin page. The only asynchronous part."""
