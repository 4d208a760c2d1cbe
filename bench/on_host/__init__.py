"""Programs that are sent to a host and run with its own python3: standard library only."""
