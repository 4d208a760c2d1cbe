"""The part of a release that runs on the host and owns it.

Standard library only, for the Python of every supported host (3.10 and later). It is shipped as one
file, a zip application named by its hash, and never imports anything of gpuhost but itself.
"""
