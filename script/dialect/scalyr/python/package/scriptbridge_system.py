"""What Unix and Windows do each in their own way.

Python 2 has to come through this too, to tell that it is too old.
"""

import os

if os.name == "nt":
    from scriptbridge_windows import STOP_SIGNALS, Waiter, end_children, print_utf8, private, the_messages
else:
    from scriptbridge_unix import STOP_SIGNALS, Waiter, end_children, print_utf8, private, the_messages

__all__ = ["STOP_SIGNALS", "Waiter", "end_children", "print_utf8", "private", "the_messages"]
