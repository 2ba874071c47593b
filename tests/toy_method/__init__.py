"""A method of 40 lines that the package knows nothing of: what a new method has to bring, and nothing else."""
