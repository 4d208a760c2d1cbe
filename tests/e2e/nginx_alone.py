"""The step that installs nginx for an app with a site."""

from gpuhost.appfile.model import XGpuhost
from gpuhost.steps import nginx
from gpuhost.steps.start import load_settings_or_stop

SITE = {"nginx": {"upstream": "127.0.0.1:3000", "tls": {"kind": "acme", "email": "a@example.com"}}}

if settings := load_settings_or_stop():
    nginx.apply(settings, [XGpuhost.model_validate({}), XGpuhost.model_validate(SITE)])
