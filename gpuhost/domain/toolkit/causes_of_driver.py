"""Messages about the driver, its cards and its libraries, of the toolkit and of nvidia-smi."""

from __future__ import annotations

from gpuhost.domain.toolkit.cause import NO_ACCESS, RESTART, Cause

DRIVER: tuple[tuple[str, Cause], ...] = (
    (
        r"WSL environment detected|GPU access blocked by the operating system"
        r"|stat failed: /usr/lib/wsl/",
        Cause(
            "this host is WSL, and Windows gives it no GPU",
            "update the driver in Windows, then: wsl --update; wsl --shutdown",
        ),
    ),
    (
        r"driver/library version mismatch",
        Cause("the driver was upgraded under its loaded kernel module", "reboot"),
    ),
    (
        r"nvml error: driver not loaded|couldn.t communicate with the NVIDIA driver",
        Cause("the driver's kernel module is not loaded", "modprobe nvidia, or reboot"),
    ),
    (
        r"libnvidia-ml\.so\S*: cannot open shared object file: Permission denied",
        Cause(
            "the engine may not read the driver's libraries",
            "ls -lL /usr/lib/*/libnvidia-ml.so.1; dmesg | grep -i -e apparmor -e avc",
        ),
    ),
    (
        r"\.so\S*: (?:file too short|invalid ELF header|wrong ELF class)",
        Cause(
            "a library of the driver is damaged, or of another architecture",
            "find -L /usr/lib -name 'libnvidia-*' -size 0; reinstall its package (dpkg -S names "
            "it), or run the driver's installer again; ldconfig",
        ),
    ),
    (
        r"libnvidia-ml\.so\S*: cannot open shared object|couldn.t find libnvidia-ml"
        r"|ERROR_LIBRARY_NOT_FOUND",
        Cause("the driver's libraries are not installed", "install the driver: nvidia_driver"),
    ),
    (
        r"unsatisfied condition: [^,\n]+",
        Cause(
            "the image needs a newer CUDA than the driver has",
            "upgrade the driver, or set toolkit_test_image to an older image or to None",
        ),
    ),
    (
        r"detection error: open failed: \S+\.so",
        Cause(
            "the driver's libraries are not complete, or ldconfig's cache names those of another "
            "version",
            "ldconfig; reinstall the driver's libraries (dpkg -S libnvidia-ml.so.1 names a "
            "package), or run its installer again",
        ),
    ),
    (
        r"mount operation failed: \S*/proc/driver/nvidia",
        Cause("the driver has been loaded again since the engine started", RESTART),
    ),
    (
        r"driver (?:rpc )?error: (?:timed out|failed to process request)",
        Cause(
            "the driver answers too slowly: without persistence mode each call starts every card",
            "nvidia_persistence=True; nvidia-smi; dmesg | grep -e NVRM -e Xid; "
            "then run the deploy again",
        ),
    ),
    (
        r"nvcgo (?:rpc )?error: timed out",
        Cause(
            "the host was too busy for the toolkit, which waits for ten seconds",
            "run the deploy again when the host has less to do",
        ),
    ),
    (
        r"Failed to initialize NVML: (Unknown Error|Insufficient Permissions)"
        r"|nvml error: (?:insufficient|no) permission"
        r"|Unable to determine the device handle for .*: *Unknown Error",
        NO_ACCESS,
    ),
    (
        r"device error: (?:MIG|GPU)-\S+: unknown device",
        Cause(
            "no card or MIG instance has this UUID: each instance that is made gets a new one",
            "nvidia-smi -L shows those that there are",
        ),
    ),
    (
        r"unknown device|gpu not found|No devices were found",
        Cause("the driver drives no card", "nvidia-smi; dmesg | grep NVRM"),
    ),
    (
        r"initialization error: cuda error",
        Cause("CUDA does not start on the host", "dmesg | grep -e NVRM -e Xid; reboot"),
    ),
    (
        r"nvml error: (?:unknown error|gpu is lost|gpu requires (?:reset|restart))",
        Cause("the driver cannot read a card", "nvidia-smi; dmesg | grep -e NVRM -e Xid"),
    ),
    (
        r"stat failed: /dev/nvidia-modeset",
        Cause(
            "the image wants the driver capability display, and there is no /dev/nvidia-modeset",
            "nvidia-modprobe -m (package nvidia-modprobe), or "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        ),
    ),
    (
        r"file creation failed: \S+: no such device or address",
        Cause(
            "a device node or a socket of the driver is left over from an earlier load or card",
            "systemctl restart nvidia-persistenced; nvidia-smi; if a card is missing, reboot",
        ),
    ),
    (
        r"version .GLIBC_\w[\w.]*. not found",
        Cause(
            "the C library of the image or of this host is too old for a program of the driver or "
            "the toolkit",
            "an image of a newer distribution, toolkit_test_image=None; or of the host: apt-get "
            "full-upgrade",
        ),
    ),
    (
        r"did not end within",
        Cause("nvidia-smi hangs in the container", "nvidia-smi; dmesg | grep -e NVRM -e Xid"),
    ),
)
