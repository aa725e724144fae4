"""The copy of the ledger in MLflow; the only package that imports mlflow."""
