# Bring a freshly installed driver into use, as far as it goes without a reboot: the initramfs leaves
# nouveau out from now on, and the module is loaded unless another one is. What is left takes a
# reboot, and the next step says so.
# shellcheck shell=sh
set -u
if command -v update-initramfs >/dev/null; then timeout 600 update-initramfs -u >/dev/null || exit 1; fi
if [ -d /sys/module/nouveau ] || [ -d /sys/module/nvidia ]; then exit 0; fi
for module in nvidia nvidia-uvm; do timeout 60 modprobe "$module" 2>/dev/null; done
exit 0
