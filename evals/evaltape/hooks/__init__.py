"""The plugin's hooks, by the process that runs them."""
