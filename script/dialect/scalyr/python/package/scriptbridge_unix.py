"""What scriptbridge_system has, on Unix."""

import os
import select
import signal

import scriptbridge_forks

# What asks a program to stop.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# How long a signal may go unnoticed, in milliseconds.
POLL_MILLISECONDS = 500


def the_messages():
    """Returns the descriptor that the messages are written to, as the host is given it."""
    return 3


def private(fd):
    """Returns a descriptor that takes the place of fd, and which no child has."""
    own = os.dup(fd)
    os.close(fd)
    scriptbridge_forks.in_children(lambda: os.close(own))
    return own


def print_utf8():
    """Has what is printed written as UTF-8, as the locale says here."""


def end_children():
    """Ends what else is in this process's group, if that is its own."""
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)


class Waiter(object):
    """Waits for a letter that any thread tells it, or the handler of a signal."""

    def __init__(self):
        self._wake, self._awaken = os.pipe()
        scriptbridge_forks.in_children(self._close)

    def _close(self):
        os.close(self._wake)
        os.close(self._awaken)

    def tell(self, letter):
        os.write(self._awaken, letter.encode("ascii"))

    def wait(self, channel=None):
        """Returns the letter; None when nobody reads any more what is written to the descriptor channel."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if channel is not None:
            poll.register(channel, 0)
        while True:
            # Python calls its handlers between two steps of this thread alone,
            # while the system may give the signal to any.
            for fd, _ in poll.poll(POLL_MILLISECONDS):
                return os.read(fd, 1).decode("ascii") if fd == self._wake else None
