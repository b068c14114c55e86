"""What the agent needs to run on old Pythons, for monitors that use it too."""

import collections
import os
import shutil
import struct
import subprocess
import sys

PY2 = PY26 = PY27 = PY2_pre_279 = PY3_pre_32 = False
PY3 = PY_post_equal_279 = True
PY3_post_equal_37 = sys.version_info >= (3, 7)

os_environ_unicode = os.environ
os_getenv_unicode = os.getenv
struct_pack_unicode = struct.pack
struct_unpack_unicode = struct.unpack
custom_defaultdict = collections.defaultdict
custom_any = any
custom_all = all
subprocess_check_output = subprocess.check_output
which = shutil.which
find_executable = shutil.which
