"""From an app and a reading of its host to a release; pure functions that touch no host."""
