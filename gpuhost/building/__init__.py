"""The cache that apt inside builds goes through: whether there is one, and its files."""
