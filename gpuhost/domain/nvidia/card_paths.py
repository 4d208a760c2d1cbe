"""Where `nvidia-smi -q -x` has the values of a card's health, in all drivers since R418."""

from __future__ import annotations

RECOVERY = "gpu_recovery_action"
RESET_REQUIRED = "gpu_reset_status/reset_required"
DRAIN_AND_RESET = "gpu_reset_status/drain_and_reset_recommended"

VOLATILE = "ecc_errors/volatile"
# One group for each generation of drivers and cards; the others are not printed.
UNCORRECTED = (
    f"{VOLATILE}/double_bit/total",
    f"{VOLATILE}/sram_uncorrectable",
    f"{VOLATILE}/sram_uncorrectable_parity",
    f"{VOLATILE}/sram_uncorrectable_secded",
    f"{VOLATILE}/dram_uncorrectable",
)
SRAM_THRESHOLD = "ecc_errors/aggregate/sram_threshold_exceeded"
CHANNEL_REPAIR = "ecc_errors/channel_repair_pending"
TPC_REPAIR = "ecc_errors/tpc_repair_pending"
UNREPAIRABLE = "ecc_errors/unrepairable_memory"
RETIRED = (
    "retired_pages/multiple_single_bit_retirement/retired_count",
    "retired_pages/double_bit_retirement/retired_count",
)
RETIREMENT_PENDING = ("retired_pages/pending_retirement", "retired_pages/pending_blacklist")
REMAP_PENDING = "remapped_rows/remapped_row_pending"
REMAP_FAILURE = "remapped_rows/remapped_row_failure"
NO_SPARE_ROWS = "remapped_rows/row_remapper_histogram/row_remapper_histogram_none"

TEMPERATURE = "temperature/gpu_temp"
TARGET = "temperature/gpu_target_temperature"
HIGHEST = "temperature/gpu_temp_max_gpu_threshold"
SLOWDOWN_AT = "temperature/gpu_temp_slow_threshold"
# Since R545, on Ada and later: the distance to the limit, and at which distance it slows down.
MARGIN = "temperature/gpu_temp_tlimit"
SLOWDOWN_MARGIN = "temperature/gpu_temp_slow_tlimit_threshold"
MEMORY_TEMPERATURE = "temperature/memory_temp"
MEMORY_LIMIT = "temperature/gpu_temp_max_mem_threshold"

GENERATION = "pci/pci_gpu_link_info/pcie_gen/current_link_gen"
MAX_GENERATION = "pci/pci_gpu_link_info/pcie_gen/max_link_gen"
WIDTH = "pci/pci_gpu_link_info/link_widths/current_link_width"
LOAD = "utilization/gpu_util"
PERFORMANCE = "performance_state"

FABRIC_STATE = "fabric/state"
FABRIC_STATUS = "fabric/status"
FABRIC_BANDWIDTH = "fabric/health/bandwidth"
FABRIC_SUMMARY = "fabric/health/summary"
ROUTE_UNHEALTHY = "fabric/health/route_unhealthy"

# Until R450 "grid".
LICENCE = (
    "vgpu_software_licensed_product/license_status",
    "grid_licensed_product/license_status",
)

MIG_PENDING = "mig_mode/pending_mig"


def slowdown(reason: str) -> tuple[str, str]:
    """A reason of lower clocks, "hw_thermal_slowdown": its names since and before R535."""
    return (
        f"clocks_event_reasons/clocks_event_reason_{reason}",
        f"clocks_throttle_reasons/clocks_throttle_reason_{reason}",
    )


MEMORY_NUMBERS = (*UNCORRECTED, *RETIRED)
MEMORY_FLAGS = (
    SRAM_THRESHOLD,
    CHANNEL_REPAIR,
    TPC_REPAIR,
    UNREPAIRABLE,
    *RETIREMENT_PENDING,
    REMAP_PENDING,
    REMAP_FAILURE,
)
