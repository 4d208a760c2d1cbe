"""The bridge's own start; the app mounts another over it."""

import bridge

if __name__ == "__main__":
    bridge.init()
    bridge.serve()
