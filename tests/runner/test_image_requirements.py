"""An image that requires more than the host's driver supports is refused."""

from __future__ import annotations

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Gpu
from gpuhost.runner.stages.build import build
from tests.runner.build_fixtures import a_release, isolated_host, log_text
from tests.runner.fake_tools import Docker, docker
from tests.runner.host_fixtures import App, app

__all__ = ["app", "docker", "isolated_host"]

GPU = Gpu("web", driver="535.183.01", cuda="12.2", brand="geforce", compute_capability="8.9")


@pytest.mark.parametrize(
    ("image", "own", "gpu", "refused"),
    [
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.1"], {}, GPU, ""),
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.6 brand=tesla,driver>=535,driver<536"], {}, GPU,
         r"driver 535\.183\.01 \(CUDA 12\.2, brand geforce\) meets none of: cuda>=12\.6 brand"),
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.6"], {"NVIDIA_DISABLE_REQUIRE": "1"}, GPU, ""),
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.1"], {"NVIDIA_REQUIRE_CUDA": "cuda>=13.0"}, GPU,
         r"meets none of: cuda>=13\.0"),
        (["NVIDIA_REQUIRE_ARCH=arch>=9.0"], {}, GPU, r"meets none of: arch>=9\.0"),
        (["NVIDIA_REQUIRE_CUDA=cuda>=99"], {}, Gpu("other", driver="535.1", cuda="12.2"), ""),
        # An unknown requirement or driver is not refused: the log says that it was not checked.
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.6"], {}, Gpu("web"), ""),
        (["NVIDIA_REQUIRE_CUDA=cuda>=9.0"], {}, Gpu("web", driver="390.157"), "driver 390"),
        (["PATH=/bin"], {}, GPU, ""),
    ],
)  # fmt: skip
def test_the_driver_must_meet_the_requirements_of_the_image(
    app: App, docker: Docker, image: list[str], own: dict[str, str], gpu: Gpu, refused: str
) -> None:
    docker.services = {"web": {"image": "cuda:1", "environment": {**own, "NONE": None}}}
    docker.registry = {"cuda:1": {"env": image}}
    release = a_release(app, docker, gpu=(gpu,))
    if not refused:
        build(release)
        assert ("web on driver" in log_text(release)) == (gpu.service == "web")
        return
    with pytest.raises(Failure, match=refused) as failure:
        build(release)
    assert "nvidia_branch" in failure.value.fix
