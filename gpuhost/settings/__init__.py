"""The declared state of a host, and how it is merged from layers of data."""

from gpuhost.settings.settings import Settings as Settings
from gpuhost.settings.settings import fields as fields
from gpuhost.settings.settings import nouns as nouns
