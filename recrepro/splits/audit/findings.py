"""What an audit comes to: findings, each with a weight, and a verdict.

A finding weighs one of three:

leaking
    counted, not inferred: the test part is in what models are fitted or tuned on, or the split
    breaks what it promises;
suspicious
    numbers on this split may not mean what they seem to: a trace of a leak, or an odd test part;
note
    what a reader should know; the verdict stays.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from recrepro.interactions import Interactions
from recrepro.spec.experiment import Promise
from recrepro.splits.popularity import Popularity
from recrepro.text.words import audit_in_words

AUDIT_VERSION = 3
"""Bumped whenever a split can get another verdict than before."""

Severity = Literal["leaking", "suspicious", "note"]
AuditOutcome = Literal["leaking", "suspicious", "clean"]

SIGMAS = 4.0
"""What is estimated must lie so many standard errors away from chance to be a finding."""


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found.

    Parameters
    ----------
    id : str
        Which kind.
    severity : {"leaking", "suspicious", "note"}
        What it does to the verdict.
    users, interactions : int
        How many it touches; what the interactions are is said in `message`.
    message : str
        What was found, in one sentence.
    details : dict
        Further numbers.
    """

    id: str
    severity: Severity
    users: int
    interactions: int
    message: str
    details: dict[str, float]


@dataclass(frozen=True)
class Audit:
    """The outcome for one split.

    Parameters
    ----------
    findings : tuple of Finding
        Worst first.
    checks : tuple of str
        Names of the checks that this split allowed.
    promise : str or None
        What the split was judged by.
    features : dict of str to str
        Fingerprints of the feature sets that were looked at.
    popularity : Popularity
        Item counts of train and test, beside those of random splits of the same data.
    """

    findings: tuple[Finding, ...]
    checks: tuple[str, ...]
    promise: Promise | None
    features: dict[str, str]
    popularity: Popularity

    @property
    def verdict(self) -> AuditOutcome:
        """The worst severity; clean if there are notes only."""
        worst = self.findings[0].severity if self.findings else "note"
        return "clean" if worst == "note" else worst

    @property
    def words(self) -> str:
        """The verdict as people read it; a clean split is one in which nothing was found."""
        return audit_in_words(self.verdict, len(self.checks))

    @property
    def line(self) -> str:
        """The verdict and its reasons in one line."""
        reasons = [f.message for f in self.findings if f.severity != "note"]
        return f"{self.words}: {'; '.join(reasons)}" if reasons else self.words

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "version": AUDIT_VERSION,
            "verdict": self.verdict,
            "promise": self.promise,
            "checks": list(self.checks),
            "features": self.features,
            "findings": [asdict(f) for f in self.findings],
            "popularity": self.popularity.as_dict(),
        }


def finding(
    kind: str,
    severity: Severity,
    rows: Interactions,
    message: str,
    details: dict[str, float] | None = None,
) -> Finding:
    """Return a finding that touches these interactions and their users."""
    users = int((rows.user_counts > 0).sum())
    return Finding(kind, severity, users, len(rows), message, details or {})
