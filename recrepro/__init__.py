"""Benchmark harness that asks whether a recommender is better than well-tuned simple ones.

The command line is the way in (``recrepro --help``); see docs/ for the library.
"""

__version__ = "0.1.0"
