"""Stand-in of nvidia-smi for MIG. Its words are those of NVIDIA's MIG User Guide.

STATE is a JSON file: {"cards": [{"uuid", "mode", "devices": [profile], "pids": [pid],
"resets": whether the mode changes at once, "refuses": whether destroying is refused}]}
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

STATE = Path(os.environ["MIG_STATE"])
SLICES = 7


def main(arguments: list[str]) -> int:
    state = json.loads(STATE.read_text())
    with STATE.with_suffix(".log").open("a") as log:
        log.write(" ".join(arguments) + "\n")
    status = answer(state["cards"], arguments)
    STATE.write_text(json.dumps(state))
    return status


def answer(cards: list[dict], arguments: list[str]) -> int:
    if arguments == ["-L"]:
        return listed(cards)
    which = arguments[arguments.index("-i") + 1]
    index, card = next((i, one) for i, one in enumerate(cards) if one["uuid"] == which)
    if "--query-gpu=mig.mode.current" in arguments:
        print(card["mode"])
    elif "--query-compute-apps=pid" in arguments:
        print("\n".join(map(str, card.get("pids", []))))
    elif "-mig" in arguments:
        return set_mode(card, index, arguments[-1])
    elif "-cgi" in arguments:
        return create(card, index, arguments[arguments.index("-cgi") + 1].split(","))
    elif "-dci" in arguments or "-dgi" in arguments:
        return destroy(card, index, "-dgi" in arguments)
    return 0


def listed(cards: list[dict]) -> int:
    for index, card in enumerate(cards):
        print(f"GPU {index}: NVIDIA A100-SXM4-40GB (UUID: {card['uuid']})")
        for number, profile in enumerate(card["devices"]):
            print(
                f"  MIG {profile:<11} Device {number:>2}: (UUID: MIG-0000000{index}-{number:04d})"
            )
    return 0


def set_mode(card: dict, index: int, value: str) -> int:
    wanted = "Enabled" if value == "1" else "Disabled"
    if card.get("resets", True):
        card["mode"] = wanted
        print(f"{wanted} MIG Mode for GPU 0000000{index}:07:00.0\nAll done.")
    else:
        print(
            f"Warning: MIG mode is in pending {wanted.lower()[:-1]} state for GPU "
            f"0000000{index}:07:00.0:In use by another client\nAll done."
        )
    return 0


def create(card: dict, index: int, profiles: list[str]) -> int:
    if card["mode"] != "Enabled":
        print("No MIG-enabled devices found.")
        return 6
    for number, profile in enumerate(profiles):
        card["devices"].append(profile)
        if sum(int(name[0]) for name in card["devices"]) > SLICES:
            card["devices"].pop()
            print(f"Unable to create a GPU instance on GPU {index:>2}: Insufficient Resources")
            print("Failed to create GPU instances: Insufficient Resources")
            return 19
        print(f"Successfully created GPU instance ID {number:>2} on GPU {index:>2}")
    return 0


def destroy(card: dict, index: int, instances: bool) -> int:
    if not card["devices"]:
        print("No GPU instances found: Not Found")
        return 6
    if card.get("refuses"):
        print(f"Unable to destroy compute instance from GPU {index:>2}: In use by another client")
        return 19
    if instances:
        card["devices"] = []
    print(f"Successfully destroyed GPU instance ID  1 from GPU {index:>2}")
    return 0


sys.exit(main(sys.argv[1:]))
