"""What answers are worth: metrics, means, intervals and comparisons."""
