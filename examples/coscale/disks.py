#!/usr/bin/env python3
"""disks.py: how large and how full each file system is.

The same protocol as load.sh, in Python, with two dimensions: a line such as

    M2 "1:/home,2:ext4" 52428800

is metric 2, dimension 1 (the mount point) being /home and dimension 2 (the
kind of file system) being ext4. Bytes are given as bytes, never as MB or GB:
whoever draws the graph chooses the scale, and an alert needs no conversion:

    coscale_disk_available_bytes / coscale_disk_size_bytes < 0.1

Try it:  scriptbridge try -- ./disks.py
"""

import json
import os
import re
import sys

DIMENSIONS = [{"id": 1, "name": "mountpoint"}, {"id": 2, "name": "fstype"}]


def metric(number, name, description, unit=""):
    return {
        "id": number,
        "name": name,
        "description": description,
        "unit": unit,
        "datatype": "GAUGE",
        "calctype": "Instant",
        "groups": "Storage/File systems",
        "dimensions": DIMENSIONS,
    }


def configuration():
    return {
        "period": 60,
        "maxruntime": 5000,
        "metrics": [
            metric(1, "Disk size", "Size of the file system", "bytes"),
            metric(2, "Disk available", "Bytes that users other than root can still write", "bytes"),
            metric(3, "Disk inodes", "Files and folders that the file system has room for"),
            metric(4, "Disk inodes free", "Files and folders that can still be made"),
        ],
    }


def mounts():
    """Give (mount point, kind) of the root and of all that is on a device."""
    seen = {}
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            device, point, kind = line.split(" ")[:3]
            # The kernel writes a blank as \040, and so on.
            point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), point)
            if "\n" in point or not (device.startswith("/dev/") or point == "/"):
                continue
            if os.path.isdir(point):  # containers mount single files, too
                seen[point] = kind  # of two mounts on one point the later is on top
    return sorted(seen.items())


def data():
    lines = []
    for point, kind in mounts():
        try:
            fs = os.statvfs(point)
        except OSError:
            continue  # not ours to look at: no line is better than a wrong one
        where = f'"1:{point},2:{kind}"'
        lines.append(f"M1 {where} {fs.f_blocks * fs.f_frsize}")
        lines.append(f"M2 {where} {fs.f_bavail * fs.f_frsize}")
        if fs.f_files > 0:  # some kinds, such as btrfs, count no inodes
            lines.append(f"M3 {where} {fs.f_files}")
            lines.append(f"M4 {where} {fs.f_ffree}")
    # A name is any bytes: they are printed as they came.
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    for line in lines:
        print(line)


if sys.argv[1:] == ["-c"]:
    print(json.dumps(configuration(), indent=2))
elif sys.argv[1:] == ["-d"]:
    data()
else:
    sys.exit(f"usage: {sys.argv[0]} -c | -d")
