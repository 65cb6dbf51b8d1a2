"""How an API is asked: its address and key, the client, and failures."""
