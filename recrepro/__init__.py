"""A benchmark harness: is this recommender really better than well-tuned simple ones?"""

__version__ = "0.1.0"
