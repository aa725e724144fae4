"""Splitting strategies by name, one file each; the sealed store of what they draw."""

from recrepro.registry import Registry
from recrepro.splits.base import Splitter

SPLITS: Registry[type[Splitter]] = Registry(
    "split",
    {
        "random-holdout": "recrepro.splits.holdout:RandomHoldout",
        "k-fold": "recrepro.splits.k_fold:KFold",
        "leave-one-out": "recrepro.splits.leave_out:LeaveOneOut",
        "leave-k-out": "recrepro.splits.leave_out:LeaveKOut",
        "temporal": "recrepro.splits.temporal:Temporal",
        "temporal-user": "recrepro.splits.temporal:TemporalUser",
        "sliding-windows": "recrepro.splits.temporal:SlidingWindows",
        "unseen-users": "recrepro.splits.unseen_users:UnseenUsers",
        "unseen-sessions": "recrepro.splits.unseen_sessions:UnseenSessions",
        "published": "recrepro.splits.published:Published",
    },
    hint="List them: recrepro ls splits.",
)
