"""What a person declares a host to be, and how layers of data become one."""

from gpuhost.settings.settings import DOCKER_KEY_FINGERPRINT as DOCKER_KEY_FINGERPRINT
from gpuhost.settings.settings import TOOLKIT_KEY_FINGERPRINT as TOOLKIT_KEY_FINGERPRINT
from gpuhost.settings.settings import Settings as Settings
from gpuhost.settings.settings import fields as fields
from gpuhost.settings.settings import nouns as nouns
