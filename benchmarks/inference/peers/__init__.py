"""Servers that ours is compared with, each in a Python of its own (see benchmarks/peers-inference)."""
