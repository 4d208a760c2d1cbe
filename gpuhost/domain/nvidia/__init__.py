"""What NVIDIA's cards and drivers are and what follows from it: facts and decisions, no I/O."""
