"""Studies of many papers: their file, their archived records, their page."""
