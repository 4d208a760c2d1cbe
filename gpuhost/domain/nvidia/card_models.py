"""The models of NVIDIA's cards, with their brand and compute capability."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Brand(Enum):
    """NVML's brands, as the requirements of container images spell them (libnvidia-container)."""

    TESLA = "tesla"
    NVIDIA = "nvidia"
    NVIDIA_RTX = "nvidiartx"
    GEFORCE = "geforce"
    QUADRO = "quadro"
    QUADRO_RTX = "quadrortx"
    TITAN = "titan"
    TITAN_RTX = "titanrtx"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Family:
    """Models that share everything but their names."""

    capability: str
    brand: Brand
    models: tuple[str, ...]


def _models(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(","))


# NVIDIA technical blog, "Transitions fully towards open-source GPU kernel modules": Grace Hopper
# and Blackwell must use the open modules.
OPEN_ONLY = frozenset({"GH200"})
# Cards for consoles and monitors, with about two gigabytes. They decide nothing beside others.
DISPLAY = frozenset(
    {
        *("210", "8400 GS", "GT 610", "GT 640", "GT 710", "GT 720", "GT 730", "GT 740"),
        *("GT 1010", "GT 1030", "NVS 310", "NVS 315", "NVS 510", "NVS 810"),
        *("600", "K420", "K600", "K620", "K1200", "K2000", "K2000D", "P400", "P600", "P620"),
    }
)
# NVIDIA CUDA Compatibility, "Forward compatibility": data-center GPUs only. Which cards are:
# NVIDIA data-center driver documentation, "Supported NVIDIA GPU products".
DATA_CENTER = (
    Family("3.0", Brand.TESLA, _models("K10, K1, K2, K340, K520")),
    Family("3.5", Brand.TESLA, _models("K20, K20c, K20m, K20X, K20Xm, K40, K40c, K40m")),
    Family("3.7", Brand.TESLA, _models("K80")),
    Family("5.0", Brand.TESLA, _models("M10")),
    Family("5.2", Brand.TESLA, _models("M4, M6, M40, M60")),
    Family("6.0", Brand.TESLA, _models("P100")),
    Family("6.1", Brand.TESLA, _models("P4, P6, P40")),
    Family("7.0", Brand.TESLA, _models("V100, V100S")),
    Family("7.5", Brand.TESLA, _models("T4, T4G, T40")),
    Family("8.0", Brand.NVIDIA, _models("A100, A100X, A30, A30X, A800, AX800")),
    Family("8.6", Brand.NVIDIA, _models("A2, A10, A10G, A10M, A16, A40")),
    Family("8.9", Brand.NVIDIA, _models("L2, L4, L20, L40, L40G, L40S")),
    Family("9.0", Brand.NVIDIA, _models("H20, H100, H200, H800, GH200")),
    Family("10.0", Brand.NVIDIA, _models("B100, B200, GB200")),
    Family("10.3", Brand.NVIDIA, _models("B300, GB300")),
    Family("12.0", Brand.NVIDIA_RTX, _models("RTX PRO 6000 Blackwell Server Edition")),
)
# Capabilities: developer.nvidia.com/cuda-gpus and /cuda-legacy-gpus.
WORKSTATION = (
    Family("2.0", Brand.QUADRO, _models("NVS 310, NVS 315, 600, 2000, 4000")),
    Family(
        "3.0",
        Brand.QUADRO,
        _models("NVS 510, K420, K600, K2000, K2000D, K4000, K4200, K5000"),
    ),
    Family("3.5", Brand.QUADRO, _models("K5200, K6000")),
    Family("5.0", Brand.QUADRO, _models("NVS 810")),
    Family("5.0", Brand.QUADRO, _models("K620, K1200, K2200, M2000M")),
    Family("5.2", Brand.QUADRO, _models("M2000, M4000, M5000, M6000")),
    Family("6.0", Brand.QUADRO, _models("GP100")),
    Family(
        "6.1", Brand.QUADRO, _models("P400, P600, P620, P1000, P2000, P2200, P4000, P5000, P6000")
    ),
    Family("7.0", Brand.QUADRO, _models("GV100")),
    Family("7.5", Brand.QUADRO_RTX, _models("RTX 3000, RTX 4000, RTX 5000, RTX 6000, RTX 8000")),
    Family("7.5", Brand.NVIDIA_RTX, _models("T400, T400E, T500, T550, T600, T1000, T1200")),
    Family(
        "8.6",
        Brand.NVIDIA_RTX,
        _models(
            "RTX A400, RTX A500, RTX A1000, RTX A2000, RTX A3000, RTX A4000, RTX A4000H, RTX A4500,"
            "RTX A5000, RTX A5500, RTX A6000"
        ),
    ),
    Family(
        "8.9",
        Brand.NVIDIA_RTX,
        _models(
            "RTX 500 Ada, RTX 1000 Ada, RTX 2000 Ada, RTX 2000E Ada, RTX 3000 Ada,"
            "RTX 3500 Ada, RTX 4000 Ada, RTX 4000 SFF Ada, RTX 4500 Ada,"
            "RTX 5000 Ada, RTX 5880 Ada, RTX 6000 Ada"
        ),
    ),
    Family(
        "12.0",
        Brand.NVIDIA_RTX,
        _models(
            "RTX 6000D, RTX PRO 500, RTX PRO 1000, RTX PRO 2000, RTX PRO 3000, RTX PRO 4000,"
            "RTX PRO 4500, RTX PRO 5000, RTX PRO 6000, RTX PRO 6000D"
        ),
    ),
    Family("12.1", Brand.NVIDIA, _models("GB10")),
    Family("11.0", Brand.NVIDIA, _models("Thor")),
    # Cards for mining: no display, the chips of other cards.
    Family("7.5", Brand.NVIDIA, _models("CMP 30HX, CMP 40HX, CMP 50HX")),
    Family("8.0", Brand.NVIDIA, _models("CMP 170HX")),
    Family("8.6", Brand.NVIDIA, _models("CMP 70HX, CMP 90HX")),
)
CONSUMER = (
    Family("1.0", Brand.GEFORCE, _models("210, 8400 GS")),
    Family("2.0", Brand.GEFORCE, _models("GT 610")),
    Family("3.0", Brand.GEFORCE, _models("GT 640, GT 740, GTX 680")),
    Family("3.5", Brand.GEFORCE, _models("GT 710, GT 720, GT 730, GTX 780, GTX 780 Ti")),
    Family("5.0", Brand.GEFORCE, _models("GTX 750, GTX 750 Ti, 940MX")),
    Family(
        "5.2", Brand.GEFORCE, _models("GTX 950, GTX 960, GTX 970, GTX 980, GTX 980 Ti, GTX TITAN X")
    ),
    Family(
        "6.1",
        Brand.GEFORCE,
        _models(
            "GT 1010, GT 1030, GTX 1050, GTX 1050 Ti, GTX 1060, GTX 1070, GTX 1070 Ti, GTX 1080,"
            "GTX 1080 Ti"
        ),
    ),
    Family("6.1", Brand.TITAN, _models("TITAN X, TITAN Xp")),
    Family("7.0", Brand.TITAN, _models("TITAN V")),
    Family("7.5", Brand.TITAN_RTX, _models("TITAN RTX")),
    Family(
        "7.5",
        Brand.GEFORCE,
        _models(
            "GTX 1630, GTX 1650, GTX 1660, MX450, MX550, RTX 2060, RTX 2070, RTX 2080, RTX 2080 Ti"
        ),
    ),
    Family(
        "8.6",
        Brand.GEFORCE,
        _models("MX570, RTX 2050, RTX 3050, RTX 3060, RTX 3070, RTX 3080, RTX 3090"),
    ),
    Family(
        "8.9",
        Brand.GEFORCE,
        _models("RTX 3050 A, RTX 4050, RTX 4060, RTX 4070, RTX 4080, RTX 4090"),
    ),
    Family("12.0", Brand.GEFORCE, _models("RTX 5050, RTX 5060, RTX 5070, RTX 5080, RTX 5090")),
)
