"""Running an experiment: plan, coordinator, executors, and one cell."""
