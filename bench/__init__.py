"""Benchmarks: how fast the service is with many learners, compared with bare SQL in the same run."""
