"""Leaderboards, intervals, paired tests and verdicts."""
