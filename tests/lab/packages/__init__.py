"""Stand-ins for packages that cannot be downloaded here, in the layout of their repositories."""
