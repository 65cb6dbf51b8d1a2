"""Registers the plugin."""

pytest_plugins = ["evals.harness.plugin"]
