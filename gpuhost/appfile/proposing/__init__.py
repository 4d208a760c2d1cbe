"""From a project that somebody has to the block x-gpuhost that it needs: pure functions.

Each gives proposals, with the file and line that they were read from. Values that may be real
secrets are never repeated.
"""
