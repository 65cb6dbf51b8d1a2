"""`--against`: every model compared with its recording at another git ref, or in another folder; and `--history`."""
