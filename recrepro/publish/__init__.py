"""Snapshots that can be cited and verified."""
