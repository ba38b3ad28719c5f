"""What the benchmarks share: processes, rounds, figures and tables."""
