"""Answering chats: by an engine of this process, or by inference servers."""
