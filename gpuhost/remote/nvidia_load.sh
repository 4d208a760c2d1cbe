# Load a newly installed driver, if that is possible without a reboot: rebuild the initramfs without
# nouveau and nova, and load the modules unless one of these or an older NVIDIA module is loaded. If a
# reboot is still needed, the next step prints so.
# shellcheck shell=sh
set -u
if command -v update-initramfs >/dev/null; then timeout 600 update-initramfs -u >/dev/null || exit 1; fi
for module in nouveau nova_core nvidia; do
    if [ -d "/sys/module/$module" ]; then exit 0; fi
done
for module in nvidia nvidia-uvm; do timeout 60 modprobe "$module" 2>/dev/null; done
exit 0
