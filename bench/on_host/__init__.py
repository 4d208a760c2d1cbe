"""What is sent to a host to be run there by its own python3: the standard library, nothing else."""
