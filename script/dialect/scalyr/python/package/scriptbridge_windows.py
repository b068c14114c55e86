"""What scriptbridge_system has, on Windows."""

import ctypes
import msvcrt
import os
import signal
import sys
import threading

# What asks a program to stop: Ctrl-Break, which alone can be sent to a process
# group, and Ctrl-C.
STOP_SIGNALS = (signal.SIGBREAK, signal.SIGINT)

# It holds the number of the handle that the messages are written to: no process
# is given a descriptor 3 here.
MESSAGE_HANDLE = "SCRIPTBRIDGE_MESSAGE_HANDLE"

# How long a signal, or the end of the bridge, may go unnoticed, in seconds.
POLL_SECONDS = 0.5


def the_messages():
    """Returns the descriptor that the messages are written to, and which no child has."""
    text = os.environ.pop(MESSAGE_HANDLE, None)
    if text is None:
        raise OSError("the environment has no %s" % MESSAGE_HANDLE)
    handle = int(text)
    if hasattr(os, "set_handle_inheritable"):  # not in Python 2
        os.set_handle_inheritable(handle, False)
    return msvcrt.open_osfhandle(handle, os.O_WRONLY | os.O_BINARY | os.O_NOINHERIT)


def private(fd):
    """Returns a descriptor that no child has: fd is one."""
    return fd


def print_utf8():
    """Has what is printed written as UTF-8 with plain ends of lines, not in a code page of Windows."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not in Python 3.6
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def end_children():
    """Does nothing: the end of the bridge ends its job object, and with that all that the monitor has started."""


class Waiter(object):
    """Waits for a letter that any thread tells it, or the handler of a signal."""

    def __init__(self):
        # Nothing that waits for longer lets Python call the handler of a
        # signal, and a lock is all that a handler may touch.
        self._told = threading.Lock()
        self._told.acquire()
        self._letters = []

    def tell(self, letter):
        self._letters.append(letter)
        try:
            self._told.release()
        except RuntimeError:
            pass  # It is not the first.

    def wait(self, channel=None):
        """Returns the letter; None when nobody reads any more what is written to the descriptor channel."""
        while not self._told.acquire(timeout=POLL_SECONDS):
            if channel is not None and nobody_reads(channel):
                return None
        return self._letters[0]


class _Status(ctypes.Structure):
    """IO_STATUS_BLOCK"""

    _fields_ = [("status", ctypes.c_void_p), ("information", ctypes.c_void_p)]


class _Pipe(ctypes.Structure):
    """FILE_PIPE_LOCAL_INFORMATION"""

    _fields_ = [(name, ctypes.c_ulong) for name in (
        "type", "configuration", "maximum", "current", "inbound", "readable", "outbound", "writable", "state", "end")]


_FILE_PIPE_LOCAL_INFORMATION = 24
_DISCONNECTED, _CLOSING = 1, 4


def nobody_reads(fd):
    """Tells whether the other end of a pipe is closed, which writing to it would tell only when there is something."""
    pipe = _Pipe()
    query = ctypes.WinDLL("ntdll").NtQueryInformationFile
    query.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int]
    failed = query(
        msvcrt.get_osfhandle(fd), ctypes.byref(_Status()), ctypes.byref(pipe), ctypes.sizeof(pipe),
        _FILE_PIPE_LOCAL_INFORMATION)
    return not failed and pipe.state in (_DISCONNECTED, _CLOSING)
