"""The model: where its weights come from, and the models that are served."""
