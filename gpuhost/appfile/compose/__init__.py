"""The Compose files of an app, read as leniently as Compose does.

Only what gpuhost must know before a release is decided here; on the host Compose itself is asked.
What only the host can tell, such as ${HOME}, stays as it is written.
"""
