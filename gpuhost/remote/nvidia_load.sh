# Load a newly installed driver, if that is possible without a reboot: rebuild the initramfs without
# nouveau, and load the modules unless nouveau or an older NVIDIA module is loaded. If a reboot is
# still needed, the next step prints so.
# shellcheck shell=sh
set -u
if command -v update-initramfs >/dev/null; then timeout 600 update-initramfs -u >/dev/null || exit 1; fi
if [ -d /sys/module/nouveau ] || [ -d /sys/module/nvidia ]; then exit 0; fi
for module in nvidia nvidia-uvm; do timeout 60 modprobe "$module" 2>/dev/null; done
exit 0
