"""What children that a monitor forks may do: nothing to the host."""

import os
import unittest

from test_host import HEAD, HostCase, batch, bye, ready

FORKS = HEAD.replace("import ", "import multiprocessing, signal, time, ", 1).replace("class", """\
def pause():
    time.sleep(3600)

def say_and_pause(queue):
    queue.put("here")
    pause()

def double(number):
    return 2 * number

class""")


@unittest.skipUnless(hasattr(os, "fork"), "Windows has no fork")
class ForkTest(HostCase):
    def run_forks(self, body, head=FORKS, **fields):
        """Runs a monitor whose first sample is body; returns the records of its batches. It has to end by itself."""
        lines = "".join("        %s\n" % line for line in body.splitlines())
        messages = self.run_host("""\
    samples = 0
    def gather_sample(self):
        self.samples += 1
        emit = self._logger.emit_value
        if self.samples == 2:
            self._run_state.stop()
            return
%s""" % lines, head=head, agent_package=self.agent_package, **fields)
        messages = [message for message in messages if message["t"] != "log"]
        self.assertEqual([message["t"] for message in messages], ["ready", "batch", "batch", "bye"], self.stderr)
        self.assertEqual(messages[0], ready())
        self.assertEqual(messages[2:], [batch(), bye("finished")])
        self.assertEqual(messages[1]["error"], "")
        return [record[:2] for record in messages[1]["records"]]

    def test_terminate(self):
        self.assertEqual(self.run_forks("""\
child = multiprocessing.get_context("fork").Process(target=pause)
child.start()
child.terminate()
child.join()
emit("exit", child.exitcode)"""), [["exit", -15]])

    def test_pool(self):
        self.assertEqual(self.run_forks("""\
with multiprocessing.get_context("fork").Pool(2) as pool:
    emit("sum", sum(pool.map(double, [1, 2])))"""), [["sum", 6]])

    def test_other_ways(self):
        """Those that begin with an interpreter of their own."""
        for method in ("spawn", "forkserver"):
            self.assertEqual(self.run_forks("""\
context = multiprocessing.get_context("%s")
queue = context.SimpleQueue()
child = context.Process(target=say_and_pause, args=(queue,))
child.start()
queue.get()
child.terminate()
child.join()
emit("ended", child.exitcode in (-15, 255))
with context.Pool(1) as pool:
    emit("sum", sum(pool.map(double, [1, 2])))""" % method), [["ended", True], ["sum", 6]])

    def test_signals(self):
        """A child has what was set before the host set its own; a process that it makes has it too."""
        self.assertEqual(self.run_forks("""\
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild == 0:
            pause()
        os.kill(grandchild, number)
        emit("no", os.waitpid(grandchild, 0)[1])
        pause()
    os.kill(child, number)
    emit("signal", os.waitpid(child, 0)[1])""", head=FORKS + "    signal.signal(signal.SIGINT, signal.SIG_DFL)\n"), [
            ["signal", 15], ["signal", 2], ["signal", 1], ["signal", 10]])

    def test_handler_of_the_monitors_own(self):
        self.assertEqual(self.run_forks("""\
child = os.fork()
if child == 0:
    pause()
os.kill(child, signal.SIGTERM)
emit("exit", os.waitpid(child, 0)[1] >> 8)""", head=FORKS.replace("class", """\
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(7))

class""")), [["exit", 7]])

    def test_ends_of_children(self):
        """A child that comes back from gather_sample, whatever way, neither samples on nor ends the monitor."""
        for way in ("return", "sys.exit(3)", "raise ValueError('of a child')", "self._run_state.stop()"):
            self.assertEqual(self.run_forks("""\
child = os.fork()
if child == 0:
    emit("no", 1)
    %s
else:
    os.waitpid(child, 0)
    emit("yes", 1)""" % way), [["yes", 1]])

    def test_end_of_run(self):
        messages = self.run_host("""\
    def run(self):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            self._logger.emit_value("yes", 1)
            time.sleep(0.01)
        else:
            self._logger.emit_value("no", 1)
""", head=FORKS, agent_package=self.agent_package)
        messages = [message for message in messages if message["t"] != "log"]
        self.assertEqual([message["t"] for message in messages], ["ready", "batch", "bye"])
        self.assertEqual([record[0] for record in messages[1]["records"]], ["yes"])
        self.assertEqual(messages[2], bye("finished"))

    def test_descriptors(self):
        """No child has the host's: what it writes to any descriptor reaches nobody."""
        self.assertEqual(self.run_forks("""\
child = os.fork()
if child == 0:
    for fd in range(3, 100):
        try:
            os.write(fd, b"e")
        except OSError:
            pass
    os._exit(0)
os.waitpid(child, 0)
script = "for fd in 3 4 5 6 7 8 9; do eval 'echo e >&'$fd; done 2>/dev/null; exit 0"
emit("code", subprocess.call(["sh", "-c", script], close_fds=False, preexec_fn=os.setsid))"""), [["code", 0]])

    def test_descriptors_of_children(self):
        """A child's child does not close what is no longer the host's."""
        self.assertEqual(self.run_forks("""\
child = os.fork()
if child == 0:
    mine = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    grandchild = os.fork()
    if grandchild == 0:
        for fd in mine:
            os.fstat(fd)
        os._exit(5)
    os._exit(os.waitpid(grandchild, 0)[1] >> 8)
emit("exit", os.waitpid(child, 0)[1] >> 8)"""), [["exit", 5]])

    def test_while_loading(self):
        """A child that was forked before the monitor ran has none of the host's either."""
        self.assertEqual(self.run_forks("""\
os.kill(CHILD, signal.SIGTERM)
emit("signal", os.waitpid(CHILD, 0)[1])""", head=FORKS.replace("class", """\
CHILD = os.fork()
if CHILD == 0:
    for fd in range(3, 100):
        try:
            os.write(fd, b"e\\n")
        except OSError:
            pass
    pause()

class""")), [["signal", 15]])


@unittest.skipUnless(
    os.environ.get("SCALYR_AGENT"), "SCALYR_AGENT names no folder that holds the agent's own package")
class PeerForkTest(ForkTest):
    agent_package = os.environ.get("SCALYR_AGENT")
    # The agent takes the module's folder from sys.path again.
    test_other_ways = None


if __name__ == "__main__":
    unittest.main()
