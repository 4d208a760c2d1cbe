"""What the app's Compose files mean on this host.

Compose is asked once (asking.py). Pure functions change its answer, a dict, one concern per module;
change.py chains them. What they must know of the host are facts, read before (tree.py, host.py).
"""
