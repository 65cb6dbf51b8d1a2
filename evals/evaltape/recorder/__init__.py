"""The process that calls the API, and the controller's side of it."""
