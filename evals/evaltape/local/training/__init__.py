"""Fine-tuning: the queue of jobs, and the process that trains."""
