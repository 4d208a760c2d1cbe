# Build and install the driver's modules for a kernel whose headers are there: $1, its release.
# `dkms autoinstall` takes a module whose file is gone for installed, and does nothing.
# shellcheck shell=sh
set -u
built=
for module in $(dkms status | sed -n 's#^\(nvidia[^,/]*\)[,/] *\([^,:]*\).*#\1/\2#p' | sort -u); do
    # An older driver that was removed by hand leaves its name, without the source.
    [ -e "/var/lib/dkms/$module/source/dkms.conf" ] || continue
    dkms install --force -k "$1" "$module" || exit 1
    built=yes
done
if [ -z "$built" ]; then
    echo 'DKMS has no module of NVIDIA to build: install the driver again' >&2
    exit 1
fi
