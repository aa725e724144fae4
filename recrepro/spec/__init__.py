"""The experiment file: its schema, its canonical form, and the identity of what it describes."""
