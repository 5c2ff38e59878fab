"""Benchmarks: each row a ratio within one run, because machines are shared and noisy."""
