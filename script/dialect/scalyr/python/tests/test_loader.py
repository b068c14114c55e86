import itertools
import os
import sys
import unittest

import support
from scalyr_agent import _loader, builtin_monitors
from scalyr_agent.json_lib import JsonArray, JsonObject
from scalyr_agent.scalyr_monitor import MonitorInformation

HEAD = "from scalyr_agent import ScalyrMonitor\n"
numbers = itertools.count()


class LoaderCase(support.Case):
    def setUp(self):
        super().setUp()
        path, packages = list(sys.path), list(builtin_monitors.__path__)
        self.addCleanup(sys.path.__setitem__, slice(None), path)
        self.addCleanup(builtin_monitors.__path__.__setitem__, slice(None), packages)
        _loader.add_module_paths([self.folder])

    def module(self, text):
        """Writes a module that has never been imported and returns its name."""
        name = "loader_fixture_%d" % next(numbers)
        self.write(name + ".py", HEAD + text)
        return name


class ClassTest(LoaderCase):
    def load(self, text):
        return _loader.load_monitor_class(self.module(text)).__name__

    def test_one(self):
        self.assertEqual(self.load("class Mine(ScalyrMonitor): pass\nclass Other(object): pass\n"), "Mine")

    def test_first_of_several(self):
        self.assertEqual(self.load("class B(ScalyrMonitor): pass\nclass A(ScalyrMonitor): pass\nC = B\n"), "B")
        self.assertEqual(len(self.output.logs), 1)
        self.assertIn("has several monitor classes: B is run, not A", self.output.logs[0][2])

    def test_derived(self):
        self.assertEqual(self.load("class Base(ScalyrMonitor): pass\nclass Derived(Base): pass\n"), "Derived")
        self.assertEqual(self.output.logs, [])

    def test_own_before_imported(self):
        imported = self.module("class Imported(ScalyrMonitor): pass\nclass Another(ScalyrMonitor): pass\n")
        self.assertEqual(
            self.load("from %s import *\nclass Mine(Imported): pass\n" % imported), "Mine")
        self.assertEqual(self.load("from %s import Another\n" % imported), "Another")

    def test_none(self):
        name = self.module("x = 1\n")
        with self.assertRaises(_loader.NoMonitorClass) as caught:
            _loader.load_monitor_class(name)
        self.assertEqual(
            str(caught.exception), "the module %s (%s) has no class that derives from ScalyrMonitor; a module of "
            "the same name that Python finds earlier hides a monitor" % (name, os.path.join(self.folder, name + ".py")))
        with self.assertRaises(ImportError):
            _loader.load_monitor_class("there_is_no_such_module")

    def test_builtin_monitors(self):
        name = "scalyr_agent.builtin_monitors." + self.module("class Mine(ScalyrMonitor): pass\n")
        self.assertEqual(_loader.load_monitor_class(name).__module__, name)

    def test_users_builtin_monitors_win(self):
        """Ours, and what stands in a tree like the agent's own, come after what users have put into their folders."""
        fresh = "loader_fixture_%d" % next(numbers)
        for name, folder in (("test_monitor", ""), (fresh, "scalyr_agent/builtin_monitors/")):
            name, path = "scalyr_agent.builtin_monitors." + name, folder + name + ".py"
            self.write(path, HEAD + "class Users(ScalyrMonitor): pass\n")
            sys.modules.pop(name, None)
            self.addCleanup(sys.modules.pop, name, None)
            _loader.add_module_paths([self.folder])
            self.assertEqual(_loader.load_monitor_class(name).__name__, "Users")

    def test_first_folder_wins(self):
        name = "loader_fixture_%d" % next(numbers)
        for folder in ("one", "two"):
            self.write("%s/%s.py" % (folder, name), HEAD + "class %s(ScalyrMonitor): pass\n" % folder.capitalize())
        _loader.add_module_paths([self.folder + "/one", self.folder + "/two"])
        self.assertEqual(_loader.load_monitor_class("scalyr_agent.builtin_monitors." + name).__name__, "One")
        self.assertEqual(_loader.load_monitor_class(name).__name__, "One")

    def test_search_order(self):
        self.assertEqual(sys.path[-2:], [self.folder, os.path.join(support.PACKAGE, "fallback")])
        _loader.add_module_paths([self.folder, "/other"])
        self.assertEqual(sys.path[-3:], [self.folder, "/other", os.path.join(support.PACKAGE, "fallback")])


class BuildTest(LoaderCase):
    def test_build(self):
        name = self.module('''class Mine(ScalyrMonitor):
    """One line.

    More.
    """
''')
        monitor = _loader.build_monitor({"module": name, "id": "a", "list": [{"a": 1}], "object": {}}, "global")
        self.assertEqual((monitor.monitor_name, monitor._global_config), (name + "(a)", "global"))
        self.assertEqual(
            [type(monitor._config[key]) for key in ("list", "object")], [JsonArray, JsonObject])
        self.assertIs(type(monitor._config["list"][0]), JsonObject)
        self.assertEqual(MonitorInformation.get_monitor_info(name).description, "One line.\n\nMore.")
        self.assertEqual(_loader.build_monitor({"module": name}).monitor_id, "default")

    def test_old_constructors(self):
        for arguments, call in (
                ("self, monitor_config, logger", "self, monitor_config, logger"),
                ("self, *args, **kwargs", "self, *args, **kwargs"),
                ("self, c, l, global_config=None", "self, c, l, global_config=global_config")):
            name = self.module("class Mine(ScalyrMonitor):\n    def __init__(%s):\n        "
                               "ScalyrMonitor.__init__(%s)\n" % (arguments, call))
            self.assertEqual(_loader.build_monitor({"module": name}, "global")._global_config, "global")

    def test_global_config(self):
        config = _loader.GlobalConfig({"api_key": "k", "server_attributes": {"tier": "web"}})
        self.assertEqual((config.api_key, config.server_attributes["tier"]), ("k", "web"))
        self.assertEqual(config.global_monitor_sample_interval, 30.0)
        with self.assertRaises(AttributeError) as caught:
            config.nothing
        self.assertEqual(str(caught.exception), "the agent's configuration that was given has no nothing")


if __name__ == "__main__":
    unittest.main()
