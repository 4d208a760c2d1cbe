"""What a host should be: pure decisions of a Snapshot and Settings, for checks and operations."""
