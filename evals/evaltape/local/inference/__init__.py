"""Answering chats: one engine that generates for all requests at once."""
