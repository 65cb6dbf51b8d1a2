"""The suite: what is evaluated."""
