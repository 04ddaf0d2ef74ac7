"""Bytes at rest: objects under keys `<bucket>/<rest>`, behind one adapter for any S3 server."""

from exchangeai.store.s3 import BlockingStore, ObjectStore, open_blocking_store, open_store

__all__ = ["BlockingStore", "ObjectStore", "open_blocking_store", "open_store"]
