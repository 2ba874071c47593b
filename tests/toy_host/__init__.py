"""A host of 70 lines that the package knows nothing of: what a new host has to bring, and nothing else."""
