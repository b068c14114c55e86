"""What the tests share: the package on sys.path, an output that remembers, and the host as a process."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest

sys.dont_write_bytecode = True
PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "package")
sys.path.insert(0, PACKAGE)

from scalyr_agent import scalyr_logging  # noqa: E402

WINDOWS = os.name == "nt"
# Wine 8 sends no Ctrl-Break.
WINE = WINDOWS and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
# How a process is started that is sent a signal.
OWN_GROUP = {"creationflags": 0x200} if WINDOWS else {}  # CREATE_NEW_PROCESS_GROUP

# Long enough for a busy machine; only a test that fails waits for it.
PATIENCE = 30


class Recorder(scalyr_logging.Output):
    """Remembers what monitors report."""

    def __init__(self):
        self.metrics = []
        self.lines = []
        self.logs = []

    def metric(self, monitor, name, value, fields, monitor_id, timestamp):
        self.metrics.append((name, value, fields, monitor_id, timestamp))

    def line(self, monitor, text, monitor_id, timestamp):
        self.lines.append((text, monitor_id, timestamp))

    def log(self, record):
        self.logs.append((record.levelname, record.error_code, record.getMessage()))


class Case(unittest.TestCase):
    """A test with a Recorder in self.output and a folder in self.folder."""

    maxDiff = None

    def setUp(self):
        self.output = Recorder()
        before = scalyr_logging._output
        scalyr_logging.set_output(self.output)
        self.addCleanup(scalyr_logging.set_output, before)
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, text):
        """Writes a file into the folder, or below it, and returns its path."""
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(textwrap.dedent(text))
        return path

    def environment(self, **variables):
        """Sets environment variables for the time of the test; None unsets one."""
        for name, value in variables.items():
            before = os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
            if before is None:
                self.addCleanup(os.environ.pop, name, None)
            else:
                self.addCleanup(os.environ.__setitem__, name, before)


def python_environment():
    """Returns an environment in which Python writes no bytecode and finds our package only."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCALYR_")}
    environment["PYTHONPATH"] = PACKAGE
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment


class HostProcess(object):
    """The host, running a document. messages() yields what it sends; stderr holds what it printed, at its end.

    It runs under this interpreter, unless python names another; version is what it takes its interpreter's for.
    One that is to terminate is said to be asked.
    """

    def __init__(self, document, python=None, version=None, asked=False):
        self._door = None
        reader, writer = os.pipe()
        # Warnings are errors in our package; the agent's own has some.
        theirs = isinstance(document, dict) and document.get("agent_package")
        options = ["-u"] if theirs else ["-u", "-W", "error"]
        command = [shutil.which(python or sys.executable)]
        program = os.path.join(PACKAGE, "scriptbridge_host.py")
        if python:
            command += ["-u", program]
        elif version:
            command += options + ["-c", PRETENDER, program, repr(version)]
        elif asked and WINE:
            self._door = socket.create_server(("127.0.0.1", 0))
            command += options + ["-c", BREAKER, program, str(self._door.getsockname()[1])]
        else:
            command += options + [program]
        self._start(command, writer)
        os.close(writer)
        self.reader = os.fdopen(reader, "r", encoding="ascii")
        self.stdout = self.stderr = ""
        self._outputs = threading.Thread(target=self._read_outputs)
        self.process.stdin.write(json.dumps(document).encode("utf-8"))
        self.process.stdin.close()
        self._outputs.start()
        self._timer = threading.Timer(PATIENCE, self.kill)
        self._timer.start()

    def _start(self, command, writer):
        environment, how = python_environment(), {}
        if WINDOWS:
            import msvcrt
            handle = msvcrt.get_osfhandle(writer)
            os.set_handle_inheritable(handle, True)
            environment["SCRIPTBRIDGE_MESSAGE_HANDLE"] = str(handle)
            start = subprocess.STARTUPINFO()
            start.lpAttributeList = {"handle_list": [handle]}
            how = dict(OWN_GROUP, startupinfo=start)
        else:
            # The host wants it as descriptor 3, and only there.
            command = [sys.executable, "-c", LAUNCHER, str(writer)] + command
            how = {"pass_fds": (writer,), "start_new_session": True}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **how)

    def _read_outputs(self):
        errors = []
        other = threading.Thread(target=lambda: errors.append(self.process.stderr.read()))
        other.start()
        self.stdout = self.process.stdout.read().decode("utf-8")
        other.join()
        self.stderr = errors[0].decode("utf-8")

    def messages(self):
        for line in self.reader:
            yield json.loads(line)

    def until(self, wanted):
        """Returns the first message for which wanted is true."""
        for message in self.messages():
            if wanted(message):
                return message
        raise AssertionError("the host has ended, stderr:\n" + self.stderr)

    def terminate(self):
        if WINE:
            self._door.accept()[0].close()
            self._door.close()
            return
        self.process.send_signal(signal.CTRL_BREAK_EVENT if WINDOWS else signal.SIGTERM)

    def kill(self):
        try:
            if WINDOWS:
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass

    def wait(self):
        """Waits for the end; returns the exit code."""
        code = self.process.wait()
        self.kill()
        self._timer.cancel()
        if self._door is not None:
            self._door.close()
        self._outputs.join()
        self.process.stdout.close()
        self.process.stderr.close()
        self.reader.close()
        return code


# Code of a gather_sample that has its own thread get the signal, once the first
# thread waits for one.
SIGNALS_ITSELF = """\
        import os, signal, threading
        where = ""
        while not any(word in where for word in ("pipe", "poll", "select")):
            with open("/proc/self/task/%d/wchan" % os.getpid()) as stream:
                where = stream.read()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
"""
if WINDOWS:
    # The system calls the handler in a thread of its own.
    SIGNALS_ITSELF = """\
        import signal
        signal.raise_signal(signal.SIGBREAK)
"""

# Signals that who runs the tests ignores, as nohup and a shell's background do,
# would be ignored by all that is started here.
LAUNCHER = """
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, signal.SIG_DFL)
fd = int(sys.argv[1])
if fd != 3:
    os.dup2(fd, 3)
    os.close(fd)
os.set_inheritable(3, True)
os.execv(sys.argv[2], sys.argv[2:])
"""

# What is asked by the end of a connection raises the signal itself.
BREAKER = """
import os, signal, socket, sys, threading
program, port = sys.argv[1:]
sys.path.insert(0, os.path.dirname(program))
import scriptbridge_host
def wait(asker):
    asker.recv(1)
    signal.raise_signal(signal.SIGBREAK)
threading.Thread(target=wait, args=(socket.create_connection(("127.0.0.1", int(port))),), daemon=True).start()
scriptbridge_host.main()
"""

PRETENDER = """
import ast, os, sys
program, version = sys.argv[1:]
sys.path.insert(0, os.path.dirname(program))
import scriptbridge_host
sys.version_info = ast.literal_eval(version)
scriptbridge_host.main()
"""


def run_host(document, **fields):
    """Runs the host to its end; returns its messages, its standard error and its exit code."""
    host = HostProcess(document, **fields)
    messages = list(host.messages())
    code = host.wait()
    return messages, host.stderr, code
