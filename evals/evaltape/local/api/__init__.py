"""The HTTP side: routes, and what every request passes through."""
