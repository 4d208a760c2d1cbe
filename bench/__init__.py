"""How fast gpuhost is, compared with other tools: `make bench`. None of it is a test."""
