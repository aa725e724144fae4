"""The leakage audit: what a split lets training know of its test part, and how odd that part is.

One file for each family of checks; `audit.py` lists and runs them.
"""

from recrepro.splits.audit.audit import CHECKS, audit_split
from recrepro.splits.audit.findings import AUDIT_VERSION, Audit, AuditOutcome, Finding

__all__ = ["AUDIT_VERSION", "CHECKS", "Audit", "AuditOutcome", "Finding", "audit_split"]
