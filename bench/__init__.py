"""Benchmarks: what the service costs at a size that hurts, as ratios within one run."""
