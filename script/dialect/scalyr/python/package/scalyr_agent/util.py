"""Threads that can be stopped, JSON, files and what else monitors take from the agent's util."""

import datetime
import glob
import hashlib
import json
import os
import re
import threading
import time

from scalyr_agent.json_lib import JsonParseException, parse
from scalyr_agent.json_lib.objects import number_to_bool, to_builtin

__all__ = [
    "JsonReadFileException",
    "RateLimiter",
    "RunState",
    "StoppableThread",
    "atomic_write_dict_as_json_file",
    "create_unique_id",
    "format_time",
    "get_parser_from_config",
    "is_list_of_strings",
    "json_decode",
    "json_encode",
    "json_scalyr_config_decode",
    "match_glob",
    "md5_hexdigest",
    "microseconds_since_epoch",
    "read_config_file_as_json",
    "read_file_as_json",
    "remove_newlines_and_truncate",
    "seconds_since_epoch",
    "value_to_bool",
]

_EPOCH = datetime.datetime(1970, 1, 1)


class RunState(object):
    """Whether something is to run on, and the way to sleep until it is not. Safe for any thread."""

    def __init__(self, fake_clock=None):
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._callbacks = []

    def is_running(self):
        return not self._stopped.is_set()

    def sleep_but_awaken_if_stopped(self, timeout):
        """Sleeps for timeout seconds, or until stop; returns whether it is stopped."""
        return self._stopped.wait(max(0, timeout))

    def stop(self):
        """Ends all sleeps and calls the callbacks, the first time only."""
        with self._lock:
            first = not self._stopped.is_set()
            self._stopped.set()
            callbacks, self._callbacks = self._callbacks, []
        if first:
            for callback in callbacks:
                callback()

    def register_on_stop_callback(self, callback):
        """Has callback called at stop, at once when that has been."""
        with self._lock:
            if not self._stopped.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def remove_on_stop_callback(self, callback):
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


class StoppableThread(threading.Thread):
    """A thread with a RunState.

    It runs target(run_state) or, in a subclass, run_and_propagate. What that
    raises ends the thread and is raised again by join.
    """

    _name_prefix = ""

    def __init__(self, name=None, target=None, fake_clock=None, is_daemon=False):
        if name is not None:
            name = StoppableThread._name_prefix + name
        threading.Thread.__init__(self, name=name)
        self.daemon = is_daemon
        self._run_state = RunState(fake_clock)
        self._stoppable_target = target
        self._stoppable_error = None

    @staticmethod
    def set_name_prefix(name_prefix):
        """Sets what the names of threads made from now on begin with."""
        StoppableThread._name_prefix = name_prefix

    def run(self):
        try:
            if self._stoppable_target is not None:
                self._stoppable_target(self._run_state)
            else:
                self.run_and_propagate()
        except Exception as error:
            self._stoppable_error = error

    def run_and_propagate(self):
        """What the thread does when it has no target: nothing, unless overridden."""

    def is_running(self):
        return self._run_state.is_running()

    def stop(self, wait_on_join=True, join_timeout=5):
        """Asks the thread to end and, if told to, waits for it, for at most join_timeout seconds."""
        self._run_state.stop()
        self._prepare_to_stop()
        if wait_on_join and self.ident is not None and self is not threading.current_thread():
            self.join(join_timeout)

    def _prepare_to_stop(self):
        """Called by stop before it waits."""

    def join(self, timeout=None):
        threading.Thread.join(self, timeout)
        error, self._stoppable_error = self._stoppable_error, None
        if error is not None:
            raise error

    def is_alive(self):
        """Tells whether the thread runs and nobody asked it to stop."""
        return self._run_state.is_running() and threading.Thread.is_alive(self)

    def isAlive(self):
        return self.is_alive()


class RateLimiter(object):
    """A bucket of bytes that fills at a rate per second: what is not in it must wait."""

    def __init__(self, bucket_size, bucket_fill_rate, current_time=None):
        self._size = self._contents = bucket_size
        self._rate = bucket_fill_rate
        self._filled = time.time() if current_time is None else current_time

    def charge_if_available(self, num_bytes, current_time=None):
        """Takes so many bytes if they are there; returns whether they were."""
        now = time.time() if current_time is None else current_time
        self._contents = min(self._size, self._contents + (now - self._filled) * self._rate)
        self._filled = now
        if self._contents < num_bytes:
            return False
        self._contents -= num_bytes
        return True


class JsonReadFileException(Exception):
    """A file could not be read as JSON."""

    def __init__(self, file_path, message):
        self.file_path = file_path
        self.raw_message = message
        Exception.__init__(self, 'the file "%s": %s' % (file_path, message))


def json_encode(obj, output=None, binary=False):
    """Returns obj as JSON without blanks, as bytes if binary; or writes it to output."""
    text = json.dumps(obj, ensure_ascii=False, separators=(",", ":"))
    data = text.encode("utf-8") if binary else text
    if output is None:
        return data
    output.write(data)


def json_decode(text):
    """Reads strict JSON."""
    return json.loads(text if isinstance(text, str) else text.decode("utf-8"))


def json_scalyr_config_decode(text):
    """Reads the relaxed JSON of the agent's configuration."""
    return parse(text)


def read_file_as_json(file_path, strict_utf8=False):
    """Reads a file of strict JSON; raises JsonReadFileException."""
    return _read_file(file_path, json_decode, strict_utf8)


def read_config_file_as_json(file_path):
    """Reads a file of relaxed JSON; raises JsonReadFileException."""
    return _read_file(file_path, parse, True)


def _read_file(file_path, decode, strict_utf8):
    try:
        with open(file_path, "r", encoding="utf-8", errors="strict" if strict_utf8 else "replace") as stream:
            return decode(stream.read())
    except (OSError, ValueError, JsonParseException) as error:
        raise JsonReadFileException(file_path, str(error))


def atomic_write_dict_as_json_file(file_path, tmp_path, info):
    """Writes info to file_path by way of tmp_path, so that nobody ever sees half of it."""
    with open(tmp_path, "w", encoding="utf-8") as stream:
        stream.write(json_encode(to_builtin(info)))
    os.replace(tmp_path, file_path)


def match_glob(pathname):
    """Returns the paths that match, ** standing for any number of folders."""
    return glob.glob(pathname, recursive=True)


def is_list_of_strings(vals):
    try:
        return all(isinstance(value, str) for value in vals)
    except TypeError:
        return False


def seconds_since_epoch(date_time, epoch=None):
    return (date_time - (epoch or _EPOCH)).total_seconds()


def microseconds_since_epoch(date_time, epoch=None):
    return (date_time - (epoch or _EPOCH)) // datetime.timedelta(microseconds=1)


def format_time(time_value):
    """Returns seconds since 1970 as a line for people; None is never."""
    if time_value is None:
        return "Never"
    return "%s UTC" % time.asctime(time.gmtime(time_value))


def md5_hexdigest(data):
    return hashlib.md5(data.encode("utf-8") if isinstance(data, str) else data).hexdigest()


def create_unique_id():
    return os.urandom(16).hex()


def remove_newlines_and_truncate(input_string, char_limit):
    return re.sub(r"[\r\n]", " ", input_string)[:char_limit]


def value_to_bool(value):
    """Reads a bool as the agent does: of texts, the empty one, f and false (in any case) are false; 0 is none."""
    if value is None:
        return False
    if isinstance(value, str):
        return value not in ("", "f") and value.lower() != "false"
    return number_to_bool(value)


def get_parser_from_config(base_config, attributes, default_parser):
    """Returns the parser that is named first: in the configuration, in the attributes, or the default."""
    for source in (base_config, attributes):
        if source and "parser" in source:
            return source["parser"]
    return default_parser
