"""What outlives the process: rows in a database, and files beside it."""
