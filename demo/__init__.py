"""The tour of the product: one story on real, labelled ECGs, from files to predictions."""
