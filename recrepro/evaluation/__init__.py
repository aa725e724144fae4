"""One evaluator for every model: ranking, metrics, and whose formula each metric is."""
