"""What to do about a faulty card: NVIDIA's own steps, from harmless to a new card."""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """In order of severity. The names are those of NVIDIA's Xid catalogue, in short."""

    IGNORE = 0
    RESTART = 1
    INSPECT = 2
    RESET = 3
    REBOOT = 4
    REPLACE = 5

    @property
    def blocks(self) -> bool:
        """A card that must be reset or replaced is given to no release."""
        return self.value >= Action.RESET.value

    @property
    def harmless(self) -> bool:
        """The card continues to work."""
        return self.value <= Action.RESTART.value

    @property
    def fix(self) -> str:
        """What a person does; CARD stands for the card's place on the PCI bus."""
        return FIXES[self]


# Persistence mode counts as a client of the card, and a reset of a card in use is refused.
FIXES = {
    Action.IGNORE: "watch it: the card continues to work",
    Action.RESTART: "restart the program that used the card; if other programs fail too, "
    "test the card",
    Action.INSPECT: "check the card's power, cooling and seating",
    Action.RESET: "stop what uses the card and reset it (nvidia-smi -pm 0 -i CARD; "
    "nvidia-smi --gpu-reset -i CARD), or reboot",
    Action.REBOOT: "reboot",
    Action.REPLACE: "reboot; if it comes back, check power, temperature and seating, then "
    "replace the card",
}

IMEX_DOMAIN = "recover imex domain"
IMEX_FIX = (
    "on every host of the IMEX domain: stop the programs that share memory, then systemctl restart "
    "nvidia-imex; journalctl -u nvidia-imex"
)
# NVML's nvmlDeviceGpuRecoveryAction_t, as nvidia-smi and Xid 154 write it ("GPU Reset Required").
# NVML 615 has the last three.
RECOVERIES = {
    "none": Action.IGNORE,
    "reset": Action.RESET,
    "gpu reset": Action.RESET,
    "drain and reset": Action.RESET,
    "drain p2p": Action.RESET,
    "reboot": Action.REBOOT,
    "node reboot": Action.REBOOT,
    "system reboot": Action.REBOOT,
    # A boot resets the bus too.
    "bus reset": Action.REBOOT,
    # Memory that several hosts share: the card itself is well.
    IMEX_DOMAIN: Action.INSPECT,
}
UNKNOWN_RECOVERY = (
    "stop what uses the card and reboot; if it stays, see nvmlDeviceGpuRecoveryAction_t in "
    "NVIDIA's documentation of NVML"
)


def recovery(words: str) -> Action | None:
    """The recovery that the driver requests; None: words that are not known."""
    return RECOVERIES.get(_name(words))


def recovery_fix(words: str) -> str:
    """What a person does about it, if not what the action says; "" otherwise."""
    return IMEX_FIX if _name(words) == IMEX_DOMAIN else ""


def _name(words: str) -> str:
    return " ".join(words.lower().replace("_", " ").split()).removesuffix(" required")
