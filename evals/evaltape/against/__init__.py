"""`--against`: every model compared with what was recorded of it at another git ref, or in another folder."""
