"""Many hosts at once, read-only: connect, read, evaluate, time limits."""
