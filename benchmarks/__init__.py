"""What is measured: whole processes beside the plain way to do the same, in one run on one machine, as ratios."""
