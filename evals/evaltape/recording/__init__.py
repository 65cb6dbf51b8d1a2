"""Recordings: cassettes of API calls, and the folder they lie in."""
