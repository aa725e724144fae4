"""The workspace on disk: ledger, blobs, records and results."""
