"""What the plugin does in pytest's hooks, by the process that does it."""
