# Build and install the driver's modules for a kernel whose headers are there: $1, its release.
# `dkms autoinstall` takes a module whose file is gone for installed, and does nothing.
# shellcheck shell=sh
set -u
modules=$(dkms status | sed -n 's#^\(nvidia[^,/]*\)[,/] *\([^,:]*\).*#\1/\2#p' | sort -u)
if [ -z "$modules" ]; then
    echo 'DKMS knows no module of NVIDIA: install the driver again' >&2
    exit 1
fi
for module in $modules; do dkms install --force -k "$1" "$module" || exit 1; done
