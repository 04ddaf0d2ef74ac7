"""Measurements; each prints JSON, and dated results lie in `results/`."""
