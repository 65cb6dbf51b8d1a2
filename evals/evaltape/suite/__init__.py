"""The suite: its file, read and checked, and the records that everything else works with."""
