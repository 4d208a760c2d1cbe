"""Mounted over the bridge's own main.py; as upstream's, it makes the tables only if told to."""

import os

import bridge

if __name__ == "__main__":
    if os.environ.get("ARGS_INIT", "False").lower() == "true":
        bridge.init()
    bridge.serve()
