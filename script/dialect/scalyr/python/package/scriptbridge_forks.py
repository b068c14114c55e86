"""Children that a monitor forks: what is the host's own is not theirs."""

import os
import signal
import threading


def in_children(function):
    """Has function called in every child that this process forks from now on, but not in children of those."""
    called = []

    def first_time():
        if not called:
            called.append(True)
            function()

    _around_forks(_nothing, _nothing, first_time)


def handle_signals(numbers, handler):
    """Has handler called for these signals in this process. Its children have the handlers of before."""
    parent = os.getpid()
    before = {}
    masks = threading.local()

    def restore():
        if os.getpid() != parent:
            for number, previous in before.items():
                # None is one that was not set from Python.
                signal.signal(number, signal.SIG_DFL if previous is None else previous)
            before.clear()

    def handle(number, frame):
        if os.getpid() == parent:
            handler(number, frame)
            return
        restore()
        os.kill(os.getpid(), number)

    # A signal that comes while Python makes the child would be lost.
    def block():
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def unblock():
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def restore_and_unblock():
        restore()
        unblock()

    for number in numbers:
        before[number] = signal.signal(number, handle)
    _around_forks(block, unblock, restore_and_unblock)


def _nothing():
    pass


def _around_forks(before, in_parent, in_child):
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
    elif hasattr(os, "fork"):  # Python 3.6
        fork = os.fork

        def fork_between():
            before()
            pid = -1
            try:
                pid = fork()
            finally:
                if pid == 0:
                    in_child()
                else:
                    in_parent()
            return pid

        os.fork = fork_between
