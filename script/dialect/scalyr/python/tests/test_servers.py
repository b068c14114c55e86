import io
import queue
import socket
import struct
import threading
import unittest

import support
from scalyr_agent import RunState
from scalyr_agent.monitor_utils import (
    Int32RequestParser, LineRequestParser, RequestSizeExceeded, ServerProcessor)
from scalyr_agent.monitor_utils.server_processors import ConnectionIdleTooLong


class ParserTest(unittest.TestCase):
    def check(self, parser, data, want, position):
        stream = io.BytesIO(data)
        try:
            got = parser.parse_request(stream, len(data))
        except RequestSizeExceeded as error:
            self.assertEqual(str(error), "a request of %d bytes exceeds the maximum of %d" % (
                error.request_size, error.max_request_size))
            got = error.request_size
        self.assertEqual((data, got), (data, want))
        if not isinstance(want, int):
            self.assertEqual(stream.tell(), position)

    def test_lines(self):
        for data, want, position in (
                (b"abc\nde", b"abc\n", 4), (b"abc\r\n", b"abc\r\n", 5), (b"\n", b"\n", 1), (b"abc", None, 0),
                (b"", None, 0), (b"abcdefghi\n", b"abcdefghi\n", 10), (b"abcdefghij", None, 0),
                (b"abcdefghij\n", 11, None), (b"abcdefghijkl", 11, None)):
            self.check(LineRequestParser(10), data, want, position)
        self.check(LineRequestParser(10, eof_as_eol=True), b"abc", b"abc", 3)
        self.check(LineRequestParser(10, eof_as_eol=True), b"", None, 0)

    def test_int32(self):
        def sized(size, rest):
            return struct.pack("!I", size) + rest
        for data, want, position in (
                (sized(3, b"abcde"), b"abc", 7), (sized(3, b"ab"), None, 0), (b"\0\0", None, 0), (b"", None, 0),
                (sized(0, b""), b"", 4), (sized(11, b"ab"), 11, None), (b"\xff\xff\xff\xffzz", 2 ** 32 - 1, None)):
            self.check(Int32RequestParser(10), data, want, position)


class Server(ServerProcessor):
    def __init__(self, **arguments):
        self.seen = queue.Queue()
        self.parser = LineRequestParser(10)
        ServerProcessor.__init__(self, 0, max_request_size=10, buffer_size=16, **arguments)

    def parse_request(self, request_input, num_available_bytes):
        return self.parser.parse_request(request_input, num_available_bytes)

    def execute_request(self, request):
        self.seen.put(request)

    def report_connection_problem(self, exception):
        self.seen.put(type(exception))


class ServerTest(unittest.TestCase):
    def serve(self, **arguments):
        state = RunState()
        server = Server(run_state=state, **arguments)
        thread = threading.Thread(target=server.run)
        thread.start()
        self.addCleanup(thread.join, support.PATIENCE)
        self.addCleanup(state.stop)
        client = socket.create_connection(server.server_address)
        self.addCleanup(client.close)
        return server, client

    def test_requests(self):
        server, client = self.serve()
        for data in (b"on", b"e\ntwo\nth", b"ree\n"):
            client.sendall(data)
        seen = [server.seen.get(timeout=support.PATIENCE) for _ in range(3)]
        self.assertEqual(seen, [b"one\n", b"two\n", b"three\n"])

    def test_too_long(self):
        server, client = self.serve()
        client.sendall(b"x" * 12)
        self.assertIs(server.seen.get(timeout=support.PATIENCE), RequestSizeExceeded)
        self.assertEqual(client.recv(1), b"")

    def test_idle(self):
        server, client = self.serve(max_connection_idle_time=0)
        self.assertIs(server.seen.get(timeout=support.PATIENCE), ConnectionIdleTooLong)
        self.assertEqual(client.recv(1), b"")

    def test_buffer(self):
        with self.assertRaises(Exception) as caught:
            ServerProcessor(0, max_request_size=10, buffer_size=9)
        self.assertEqual(str(caught.exception), "the buffer (9 bytes) is smaller than the longest request (10 bytes)")


if __name__ == "__main__":
    unittest.main()
