"""Evaltape: what is evaluated, what is asserted, and the machinery behind it."""
