"""The version, where some monitors look for it."""

import os
import sys

# The agent whose plugin surface this package has; monitors put it into user
# agents and compare it.
SCALYR_VERSION = "2.2.22"

# Tells this package from the agent's own, which has no such name.
SCRIPTBRIDGE = True

PY2 = False
PY3 = True
PACKAGE_INSTALL = 1
TARBALL_INSTALL = 2
DEV_INSTALL = 3
INSTALL_TYPE = DEV_INSTALL


def get_package_root():
    """Returns the folder of this package."""
    return os.path.dirname(os.path.abspath(__file__))


def get_install_root():
    """Returns the folder that holds this package."""
    return os.path.dirname(get_package_root())


def scalyr_init():
    """Does nothing: the agent's package extends sys.path here."""
    return sys.path
