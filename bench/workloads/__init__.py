"""What a case runs on: models, data, the split into what is forgotten and what is kept, trained checkpoints."""
