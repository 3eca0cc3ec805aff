"""What the probes of a model share: copies, trainings, scores, budgets."""
