"""The reference pages, generated from the code: `make docs` (`python -m gpuhost.reference`)."""
