"""The benchmark: ratios measured in one run (docs/performance.md says what each means)."""
