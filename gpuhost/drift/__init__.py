"""What is no longer as it was applied, over a whole fleet."""
