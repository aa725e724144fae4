"""Counts, durations, sizes and verdicts of audits as people read them."""


def count(n: int, what: str) -> str:
    """Return a number with its noun: 1 trial, 2 trials."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write seconds for people: 5 s, 2 min 5 s, 3 h 10 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(n_bytes: float) -> str:
    """Write a number of bytes for people: 3.2 kB, 153.0 MB, 1.2 GB (powers of 1,000)."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor / 10:
            return f"{n_bytes / factor:,.1f} {unit}"
    return f"{n_bytes / 1e3:,.1f} kB"


def audit_in_words(verdict: str, n_checks: int | None = None) -> str:
    """Return the verdict of an audit for people: of a clean split, what was looked for.

    Parameters
    ----------
    verdict : {"leaking", "suspicious", "clean"}
        As stored.
    n_checks : int, optional
        How many checks were made, if that is known.
    """
    if verdict != "clean":
        return verdict
    return f"nothing found by {count(n_checks, 'check')}" if n_checks else "nothing found"
