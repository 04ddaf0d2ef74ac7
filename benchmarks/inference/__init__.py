"""What `benchmarks/bench_inference.py` runs: the models, the client and the servers it compares."""
