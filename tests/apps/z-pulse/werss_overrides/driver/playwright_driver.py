"""Mounted over a file of the bridge."""
