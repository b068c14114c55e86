"""A TCP server that reads requests from its connections, and two ways to tell them apart."""

import io
import os
import socket
import socketserver
import struct
import time

from scalyr_agent.util import RunState

# How often a waiting connection looks whether it is to end, in seconds.
_POLL = 0.5


class RequestSizeExceeded(Exception):
    """A request is longer than allowed. Sizes are in bytes."""

    def __init__(self, request_size, max_request_size):
        Exception.__init__(self, "a request of %d bytes exceeds the maximum of %d" % (request_size, max_request_size))
        self.request_size = request_size
        self.max_request_size = max_request_size


class ConnectionIdleTooLong(Exception):
    """A connection has sent no request for longer than allowed. Times are in seconds."""

    def __init__(self, time_since_last_activity, max_inactivity):
        Exception.__init__(
            self, "no request for %.0f seconds, the maximum is %.0f" % (time_since_last_activity, max_inactivity))
        self.time_since_last_activity = time_since_last_activity
        self.max_inactivity = max_inactivity


class LineRequestParser(object):
    """A request is a line. With eof_as_eol what is left at the end of the input is one too."""

    def __init__(self, max_request_size, eof_as_eol=False):
        self._max_size = max_request_size
        self._eof_as_eol = eof_as_eol

    def parse_request(self, input_buffer, _):
        """Returns the next line with its line feed, or None, and then has read nothing.

        Raises RequestSizeExceeded.
        """
        start = input_buffer.tell()
        line = input_buffer.readline(self._max_size + 1)
        if len(line) > self._max_size:
            raise RequestSizeExceeded(len(line), self._max_size)
        if line.endswith(b"\n") or (line and self._eof_as_eol):
            return line
        input_buffer.seek(start)
        return None


class Int32RequestParser(object):
    """A request comes after its length, four bytes in network order."""

    def __init__(self, max_request_size):
        self._max_size = max_request_size

    def parse_request(self, input_buffer, num_bytes):
        """Returns the next request without its length, or None, and then has read nothing.

        num_bytes is how many there are to read. Raises RequestSizeExceeded.
        """
        if num_bytes < 4:
            return None
        start = input_buffer.tell()
        size = struct.unpack("!I", input_buffer.read(4))[0]
        if size <= self._max_size and num_bytes >= 4 + size:
            return input_buffer.read(size)
        input_buffer.seek(start)
        if size > self._max_size:
            raise RequestSizeExceeded(size, self._max_size)
        return None


class _Connection(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            self.server.serve_connection(self.request)
        except Exception as error:
            self.server.report_connection_problem(error)


class ServerProcessor(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server on a TCP port, a thread for each connection.

    A subclass overrides parse_request, execute_request and, if it likes,
    report_connection_problem. run serves until run_state is stopped.
    """

    # On Windows it would let another program have the same port.
    allow_reuse_address = os.name != "nt"
    daemon_threads = True
    timeout = _POLL

    def __init__(self, server_port, localhost_socket=True, max_connection_idle_time=300,
                 max_request_size=100 * 1024, buffer_size=100 * 1024, run_state=None):
        if buffer_size < max_request_size:
            raise Exception("the buffer (%d bytes) is smaller than the longest request (%d bytes)" % (
                buffer_size, max_request_size))
        self._run_state = run_state or RunState()
        self._max_idle = max_connection_idle_time
        self._max_request_size = max_request_size
        self._buffer_size = buffer_size
        host = "localhost" if localhost_socket else ""
        socketserver.TCPServer.__init__(self, (host, server_port), _Connection)

    def run(self):
        """Serves until the run state is stopped, then closes the port."""
        try:
            while self._run_state.is_running():
                self.handle_request()
        finally:
            self.server_close()

    def parse_request(self, request_input, num_available_bytes):
        """Reads the next request from a file of bytes; returns None and leaves its position where none is whole."""
        raise NotImplementedError

    def execute_request(self, request):
        """Does what a request asks for."""
        raise NotImplementedError

    def report_connection_problem(self, exception):
        """Called in the handler of an exception that ends a connection."""

    def serve_connection(self, connection):
        """Executes the requests of a connection until it ends, or idles too long, or the server is stopped."""
        connection.settimeout(_POLL)
        pending = b""
        last_request = time.time()
        while self._run_state.is_running():
            try:
                received = connection.recv(self._buffer_size)
            except socket.timeout:
                idle = time.time() - last_request
                if idle > self._max_idle:
                    raise ConnectionIdleTooLong(idle, self._max_idle)
                continue
            if not received:
                return
            before = len(pending)
            pending = self._execute_all(pending + received)
            if len(pending) < before + len(received):
                last_request = time.time()
            if len(pending) > self._buffer_size:
                raise RequestSizeExceeded(len(pending), self._max_request_size)

    def _execute_all(self, data):
        """Executes all whole requests in data and returns the rest."""
        stream = io.BytesIO(data)
        while self._run_state.is_running():
            request = self.parse_request(stream, len(data) - stream.tell())
            if request is None:
                break
            self.execute_request(request)
        return data[stream.tell():]
