"""Splitting strategies by name, one file each; the sealed store of what they draw."""

from recrepro.registry import Registry
from recrepro.splits.base import Splitter

SPLITS: Registry[type[Splitter]] = Registry(
    "split",
    {
        "random-holdout": "recrepro.splits.holdout:RandomHoldout",
        "leave-one-out": "recrepro.splits.leave_one_out:LeaveOneOut",
        "temporal": "recrepro.splits.temporal:Temporal",
        "published": "recrepro.splits.published:Published",
    },
    hint="List them: recrepro ls splits.",
)
