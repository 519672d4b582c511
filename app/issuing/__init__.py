"""Everything that makes labels: the codebook, its keys, batches, label files and artwork."""
