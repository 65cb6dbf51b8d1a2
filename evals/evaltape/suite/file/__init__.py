"""The suite file: its keys, each declared once; the reader, the JSON Schema and the tables of keys follow from them."""
