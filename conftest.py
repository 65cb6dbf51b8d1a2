"""Registers the plugin for a clone that is not installed."""

pytest_plugins = ["evaltape.entry"]
