"""Leaderboards, expected values and verdicts, written for people, papers and programs."""
