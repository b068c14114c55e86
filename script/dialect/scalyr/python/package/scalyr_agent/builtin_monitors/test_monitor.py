"""A monitor to try an installation with: two random numbers a sample."""

import random

from scalyr_agent import ScalyrMonitor, define_config_option, define_metric

__monitor__ = __name__

define_config_option(__monitor__, "gauss_mean", "The mean of the metric gauss.", required_option=True,
                     convert_to=float, min_value=0, max_value=10)
define_config_option(__monitor__, "gauss_stddev", "The standard deviation of the metric gauss.", convert_to=float,
                     default=0.25, min_value=0, max_value=5)
define_metric(__monitor__, "uniform", "A number between 0 and 1, all of them equally likely.")
define_metric(__monitor__, "gauss", "A normally distributed number.")


class TestMonitor(ScalyrMonitor):
    """Reports random numbers."""

    def _initialize(self):
        self._count = 0

    def gather_sample(self):
        self._count += 1
        fields = {"count": self._count}
        mean, deviation = self._config.get("gauss_mean"), self._config.get("gauss_stddev")
        self._logger.emit_value("uniform", random.random(), extra_fields=fields)
        self._logger.emit_value("gauss", random.gauss(mean, deviation), extra_fields=fields)
