"""Servers in mainland China: what they download comes from mirrors there.

A value here wins over group_data/all.py, and a host's own data in the inventory over both.
"""

# The first of apt_mirror_candidates that answers and is fresh; what is there now is kept, and put
# back by apt_mirror = None. Security updates still come from the distribution itself.
apt_mirror = "auto"

# The engine's packages. The key that signs them is Docker's own, whatever the mirror.
docker_mirror = "aliyun"

# NVIDIA Container Toolkit; the University of Science and Technology of China mirrors it.
toolkit_mirror = "ustc"

# NVIDIA's driver repository has a host of its own in China.
nvidia_mirror = "https://developer.download.nvidia.cn/compute/cuda/repos"

# Docker Hub cannot be reached, and its public mirrors come and go: name the one that your cloud
# or your company gives you.
# docker_registry_mirrors = ["https://ID.mirror.aliyuncs.com"]

# Images that are built on the host: taken by every Dockerfile that declares the ARG.
build_args = {
    "PIP_INDEX_URL": "https://mirrors.aliyun.com/pypi/simple/",
    "HF_ENDPOINT": "https://hf-mirror.com",
    "NPM_CONFIG_REGISTRY": "https://registry.npmmirror.com",
}

# Through a proxy instead, or as well:
# proxy_http = "http://10.0.0.5:3128"
# proxy_https = "http://10.0.0.5:3128"
