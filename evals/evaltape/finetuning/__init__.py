"""Fine-tuning jobs: their training files, their hosts, and their recordings."""
