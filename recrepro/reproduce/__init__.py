"""Running a recorded cell again and comparing it."""
