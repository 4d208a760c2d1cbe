"""The distribution's package sources: what apt reads, and what a mirror makes of it. No I/O."""
