"""Fine-tuning jobs: what they train on, and how they were recorded."""
