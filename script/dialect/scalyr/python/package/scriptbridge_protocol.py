"""The messages that the host of a monitor writes: one JSON object a line.

PROTOCOL.md, beside this package's folder, describes them.
"""

import json
import os
import sys
import threading
import time

import scriptbridge_system
from scriptbridge_text import as_text

VERSION = 1

# A longer text is cut, in characters; a longer record or line is dropped, and
# a batch is split before it is longer than this, in bytes of JSON.
MAX_TEXT = 64 * 1024
MAX_RECORD = 1024 * 1024
MAX_BATCH = 1024 * 1024

# The bits of an int that no float64 can hold. Beyond twice that it is written
# as an infinity, which is what it would be read as.
_MAX_BITS = 2048

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def encode_value(value):
    """Returns a str, bool, int or float as a value of the protocol."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, float) and value - value != 0:
        return {"f": "NaN" if value != value else "+Inf" if value > 0 else "-Inf"}
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return {"f": "+Inf" if value > 0 else "-Inf"}
    return value


class Channel(object):
    """Writes messages to a file descriptor of its own. Safe for any thread.

    When nobody reads any more the program ends at once, and with it whatever
    else is in its process group, if that is its own.
    """

    def __init__(self, fd):
        self.fd = fd
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def send(self, t, **fields):
        """Writes a message of the kind t. The texts among its fields are cut."""
        message = {"t": t}
        for key, value in fields.items():
            message[key] = value[:MAX_TEXT] if isinstance(value, str) else value
        self.send_line(_encode(message))

    def send_line(self, text):
        """Writes a JSON object that is encoded already, without its line feed."""
        if os.getpid() != self._pid:
            return  # A child that the monitor forked has no say.
        data = (text + "\n").encode("ascii")
        with self._lock:
            try:
                while data:
                    data = data[os.write(self.fd, data):]
            except OSError:
                die()


def die():
    """Ends the program at once, with the processes that it has started."""
    scriptbridge_system.end_children()
    os._exit(1)


class _Batch(object):
    def __init__(self):
        self.records = []
        self.lines = []
        self.size = 0


class Batches(object):
    """Collects what a monitor reports and sends it in batches.

    What the thread that gathers reports while it gathers goes out when it is
    done; what is reported at any other time goes out within a second, and so
    does that of a gathering which takes longer than LONG_GATHER seconds: some
    monitors never return from their first one. Safe for any thread.
    """

    LONG_GATHER = 5

    def __init__(self, channel, before_send=None):
        """before_send is called before each batch, without a lock held."""
        self._channel = channel
        self._before_send = before_send or (lambda: None)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._other = _Batch()
        self._gathered = _Batch()
        self._gatherer = None  # the thread that gathers
        self._began = 0.0  # by the finest clock
        self._began_at = 0.0  # wall clock

    def record(self, name, value, fields, monitor_id, timestamp):
        """Takes a metric. The timestamp is in milliseconds or None."""
        fields = {key[:MAX_TEXT]: encode_value(field) for key, field in fields.items()} if fields else None
        text = _encode([name[:MAX_TEXT], encode_value(value), fields, _id(monitor_id), _milliseconds(timestamp)])
        self._add("records", text, name)

    def line(self, text, monitor_id):
        """Takes a line of the metric log that is no metric."""
        self._add("lines", _encode({"text": text[:MAX_TEXT], "id": _id(monitor_id)}), text)

    def begin_gather(self):
        with self._lock:
            self._gatherer = threading.get_ident()
            self._began, self._began_at = time.perf_counter(), time.time()

    def end_gather(self, error="", detail=""):
        """Sends what was gathered, also when it is nothing. error is a line, detail a traceback."""
        with self._lock:
            batch, self._gathered = self._gathered, _Batch()
            self._gatherer = None
        self._send(batch, gather=True, error=error, detail=detail)

    def flush(self):
        """Sends what has been reported outside of gatherings, and within one that takes long."""
        with self._lock:
            batches, self._other = [self._other], _Batch()
            if self._gatherer is not None and time.perf_counter() - self._began > self.LONG_GATHER:
                batches.append(self._gathered)
                self._gathered = _Batch()
        for batch in batches:
            if batch.size:
                self._send(batch)

    def flush_forever(self):
        while True:
            time.sleep(1)
            self.flush()

    def _add(self, kind, text, name):
        if os.getpid() != self._pid:
            return  # In a child, whose lock may be held for ever.
        if len(text) > MAX_RECORD:
            self._channel.send(
                "log", level="WARNING", code="tooLong", where="",
                message="%s is dropped: %d bytes, more than %d" % (name[:128], len(text), MAX_RECORD))
            return
        full = None
        with self._lock:
            gathers = self._gatherer == threading.get_ident()
            batch = self._gathered if gathers else self._other
            getattr(batch, kind).append(text)
            batch.size += len(text) + 1
            if batch.size > MAX_BATCH:
                full = batch
                if gathers:
                    self._gathered = _Batch()
                else:
                    self._other = _Batch()
        if full is not None:
            # The thread that reports so much waits until it is written.
            self._send(full, more=gathers)

    def _send(self, batch, gather=False, more=False, error="", detail=""):
        self._before_send()
        head = {
            "time": self._began_at if gather or more else time.time(),
            "duration": time.perf_counter() - self._began if gather else 0,
            "gather": gather, "error": error[:MAX_TEXT], "detail": detail[-MAX_TEXT:]}
        if more:
            head["more"] = True
        self._channel.send_line('{"t":"batch",%s,"records":[%s],"lines":[%s]}' % (
            _encode(head)[1:-1], ",".join(batch.records), ",".join(batch.lines)))


def _id(monitor_id):
    return None if monitor_id is None else as_text(monitor_id)[:MAX_TEXT]


def _milliseconds(timestamp):
    try:
        return None if timestamp is None else int(timestamp)
    except (TypeError, ValueError, OverflowError):
        return None


def flush_streams():
    """Writes out what the monitor has printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
