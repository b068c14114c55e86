import threading
import unittest

import support
from scalyr_agent import (
    BadMonitorConfiguration, MonitorConfig, RunState, ScalyrMonitor, StoppableThread, UnsupportedSystem,
    define_config_option, define_log_field, define_metric, getLogger)
from scalyr_agent.scalyr_monitor import MonitorInformation


def make(cls=ScalyrMonitor, **config):
    config.setdefault("module", "mod.my")
    config.setdefault("id", "x")
    return cls(config, getLogger("%s(%s)" % (config["module"], config["id"])))


class ConstructorTest(support.Case):
    def test_attributes(self):
        monitor = make()
        for name, want in (
                ("monitor_name", "my(x)"), ("monitor_id", "x"), ("monitor_module_name", "my"),
                ("raw_monitor_name", "my"), ("module_name", "mod.my"), ("uid", "mod.my-x"),
                ("short_hash", "35b2a91381"), ("log_config", {"path": "my.log"}), ("disabled", False),
                ("_sample_interval_secs", 30.0), ("_global_config", None), ("_log_write_rate", 2000),
                ("_log_max_write_burst", 100000), ("_log_flush_delay", 0.0), ("_metric_name_blacklist", []),
                ("_calculate_rate_metric_name", []), ("_adjust_sleep_by_gather_time", False), ("daemon", False)):
            self.assertEqual((name, getattr(monitor, name)), (name, want))
        self.assertIsInstance(monitor._config, MonitorConfig)
        self.assertEqual((monitor.reported_lines(), monitor.errors()), (0, 0))
        self.assertEqual(monitor.get_calculate_rate_metric_names(), [])
        self.assertIs(monitor.get_stop_agent_on_failure(), False)
        self.assertEqual((monitor.get_extra_server_attributes(), monitor.get_user_agent_fragment()), (None, None))

    def test_id(self):
        monitor = make(id="")
        self.assertEqual(
            (monitor.monitor_id, monitor.uid, monitor.short_hash, monitor.monitor_name),
            ("default", "mod.my-", "885035eb4f", "my()"))
        self.assertEqual((make(id=5).monitor_id, make(id=5).uid), ("5", "mod.my-5"))

    def test_configuration(self):
        monitor = make(
            sample_interval="7", monitor_log_write_rate="5", monitor_log_max_write_burst=-1,
            metric_name_blacklist="a, b", calculate_rate_metric_names=["my:a"], stop_agent_on_failure=True)
        self.assertEqual(
            (monitor._sample_interval_secs, monitor._log_write_rate, monitor._log_max_write_burst,
             monitor._metric_name_blacklist, monitor.get_calculate_rate_metric_names(),
             monitor.get_stop_agent_on_failure()),
            (7.0, 5, -1, ["a", "b"], ["my:a"], True))
        config = {"module": "m", "id": "", "sample_interval": 7}
        self.assertEqual(ScalyrMonitor(config, getLogger("m()"), 2)._sample_interval_secs, 2)
        with self.assertRaises(BadMonitorConfiguration) as caught:
            make(sample_interval="often")
        self.assertEqual(
            str(caught.exception), 'the field "sample_interval" is "often", which is not a number')

    def test_initialize_is_before_the_thread(self):
        seen = []

        class Monitor(ScalyrMonitor):
            def _initialize(self):
                seen.extend([self._config.get("a"), self._logger.name, hasattr(self, "_run_state")])
                self.disabled = True
                self.log_config["attributes"] = {"tier": "web"}
                self.set_sample_interval(3)

        monitor = make(Monitor, a=1)
        self.assertEqual(seen, [1, "mod.my(x)", False])
        self.assertEqual(
            (monitor.disabled, monitor.log_config, monitor._sample_interval_secs),
            (True, {"path": "my.log", "attributes": {"tier": "web"}}, 3))

    def test_errors(self):
        error = UnsupportedSystem("my", "no luck")
        self.assertEqual((str(error), error.monitor_name), ("no luck", "my"))
        error = BadMonitorConfiguration("no luck", "field")
        self.assertEqual((str(error), error.message, error.field), ("no luck", "no luck", "field"))


class Sampled(ScalyrMonitor):
    """Gathers a number of times, then stops; what is done is in self.done. sleeps are not slept."""

    def _initialize(self):
        self.done = []

    def gather_sample(self):
        self.done.append("gather")
        action = self._config.get("actions")[self.done.count("gather") - 1]
        if action is None:
            self._run_state.stop()
        elif action:
            raise action

    def _sleep_but_awaken_if_stopped(self, time_to_sleep):
        self.done.append(time_to_sleep)
        return self._run_state.is_running()


class RunTest(support.Case):
    def run_monitor(self, monitor):
        monitor.start()
        monitor.join(support.PATIENCE)

    def test_loop(self):
        monitor = make(Sampled, actions=["", "", None], sample_interval=5)
        self.run_monitor(monitor)
        self.assertEqual(monitor.done, ["gather", 5.0] * 3)
        self.assertEqual(self.output.logs, [("INFO", None, "Monitor has finished")])

    def test_exceptions(self):
        monitor = make(Sampled, id="exceptions", actions=[ValueError("bad"), UnsupportedSystem("m", "x"), None])
        monitor.open_metric_log()
        self.run_monitor(monitor)
        monitor.close_metric_log()
        self.assertEqual(len(monitor.done), 6)
        self.assertEqual(self.output.logs, [("ERROR", None, "gather_sample failed")] * 2 + [
            ("INFO", None, "Monitor has finished")])
        self.assertEqual(monitor.errors(), 2)

    def test_loop_fails(self):
        class Monitor(Sampled):
            def _sleep_but_awaken_if_stopped(self, time_to_sleep):
                raise ValueError("bad")
        self.run_monitor(make(Monitor, actions=[""]))
        self.assertEqual(self.output.logs, [
            ("ERROR", "failedMonitor", "the monitor ends: an exception escaped its loop")])

    def test_sleep_is_adjusted(self):
        class Monitor(Sampled):
            def _initialize(self):
                super()._initialize()
                self._adjust_sleep_by_gather_time = True
        monitor = make(Monitor, actions=[None], sample_interval=3600)
        self.run_monitor(monitor)
        self.assertTrue(3500 < monitor.done[1] < 3600, monitor.done)

    def test_stop(self):
        gathered = threading.Event()

        class Monitor(ScalyrMonitor):
            def gather_sample(self):
                gathered.set()

            def _prepare_to_stop(self):
                self.prepared = True

        monitor = make(Monitor, sample_interval=3600)
        self.assertEqual((monitor.is_running(), monitor.is_alive(), monitor._is_thread_stopped()), (True, False, False))
        monitor.start()
        self.assertTrue(gathered.wait(support.PATIENCE))
        self.assertEqual((monitor.is_alive(), monitor.isAlive()), (True, True))
        monitor.stop(wait_on_join=True, join_timeout=support.PATIENCE)
        self.assertEqual(
            (monitor.is_running(), monitor.is_alive(), monitor._is_thread_stopped(), monitor.prepared),
            (False, False, True, True))

    def test_stop_itself(self):
        class Monitor(ScalyrMonitor):
            def gather_sample(self):
                self.stop()
        monitor = make(Monitor, sample_interval=3600)
        self.run_monitor(monitor)
        self.assertFalse(monitor.is_running())


class ThreadTest(unittest.TestCase):
    def test_target(self):
        seen = []
        thread = StoppableThread(name="mine", target=seen.append, is_daemon=True)
        thread.start()
        thread.join(support.PATIENCE)
        self.assertEqual((seen, thread.name, thread.daemon), ([thread._run_state], "mine", True))

    def test_run_and_propagate(self):
        class Thread(StoppableThread):
            def run_and_propagate(self):
                raise ValueError("bad")
        StoppableThread.set_name_prefix("pre ")
        self.addCleanup(StoppableThread.set_name_prefix, "")
        thread = Thread("mine")
        self.assertEqual(thread.name, "pre mine")
        thread.start()
        with self.assertRaises(ValueError):
            thread.join(support.PATIENCE)
        thread.join()  # told once

    def test_run_state(self):
        state, calls = RunState(), []
        removed = calls.append
        state.register_on_stop_callback(removed)
        state.remove_on_stop_callback(removed)
        state.register_on_stop_callback(lambda: calls.append("stopped"))
        self.assertEqual((state.is_running(), state.sleep_but_awaken_if_stopped(0)), (True, False))
        state.stop()
        state.stop()
        state.register_on_stop_callback(lambda: calls.append("late"))
        self.assertEqual((state.is_running(), state.sleep_but_awaken_if_stopped(3600)), (False, True))
        self.assertEqual(calls, ["stopped", "late"])


class DefineTest(unittest.TestCase):
    def test_registry(self):
        self.assertIsNone(MonitorInformation.get_monitor_info("registry"))
        define_metric("registry", "a.b", "first", extra_fields={"type": "user"}, unit="bytes", cumulative=True)
        define_metric("registry", "c", "other", category="x")
        define_metric("registry", "a.b", "second", extra_fields={"type": "sys"})
        define_metric("registry", "a.b", "again", extra_fields={"type": "sys"})
        define_log_field("registry", "field", "old")
        define_log_field("registry", "field", "new")
        define_config_option("registry", "option", "text", required_option=True, convert_to=int, default=3)
        info = MonitorInformation.get_monitor_info("registry")
        self.assertEqual(
            [(m.metric_name, m.description, m.extra_fields, m.unit, m.cumulative, m.category) for m in info.metrics],
            [("a.b", "first", {"type": "user"}, "bytes", True, None), ("c", "other", None, None, False, "x"),
             ("a.b", "again", {"type": "sys"}, None, False, None)])
        self.assertEqual([(f.field, f.description) for f in info.log_fields], [("field", "new")])
        option = info.config_option("option")
        self.assertEqual(
            (option.option_name, option.description, option.required_option, option.convert_to, option.default,
             option.max_value, option.env_aware, option.allow_http),
            ("option", "text", True, int, 3, None, False, True))
        self.assertEqual((info.config_options, info.config_option("none")), ([option], None))
        MonitorInformation.set_monitor_info("registry", description="about")
        self.assertEqual((info.monitor_module, info.description), ("registry", "about"))


if __name__ == "__main__":
    unittest.main()
