"""Processor time, traffic and load of a Linux machine: a monitor that declares what it reports.

    scriptbridge try --dialect=scalyr --option=module=machine_monitor --option=config='{interfaces: "eth0, lo"}'

What it declares becomes type, help and unit on Prometheus's page, and the
declared extra fields become labels:

    scalyr_cpu_time_seconds_total{...,mode="user"} 81.92
    scalyr_net_traffic_bytes_total{...,direction="in",interface="lo"} 52164
"""

from scalyr_agent import ScalyrMonitor, define_config_option, define_metric
from scalyr_agent.json_lib.objects import ArrayOfStrings

__monitor__ = __name__

define_config_option(__monitor__, 'interfaces', 'Optional (defaults to all). The network interfaces to report.',
                     convert_to=ArrayOfStrings)

for mode in ('user', 'system', 'idle'):
    define_metric(__monitor__, 'cpu.time', 'Processor time, of all processors together.', cumulative=True,
                  unit='secs:0.01', extra_fields={'mode': mode})
define_metric(__monitor__, 'net.traffic', 'Bytes received and sent.', cumulative=True, unit='bytes',
              extra_fields={'interface': '', 'direction': ''})
define_metric(__monitor__, 'load', 'Processes that run or want to, on average over the last minute.')


class MachineMonitor(ScalyrMonitor):
    """Reads /proc. Nothing to set up."""

    def gather_sample(self):
        with open('/proc/stat') as stat:
            user, nice, system, idle = stat.readline().split()[1:5]
        times = {'user': int(user) + int(nice), 'system': int(system), 'idle': int(idle)}
        for mode, time in times.items():
            self._logger.emit_value('cpu.time', time, extra_fields={'mode': mode})

        wanted = self._config.get('interfaces')
        with open('/proc/net/dev') as interfaces:
            for line in interfaces.readlines()[2:]:
                name, numbers = line.split(':')
                name, numbers = name.strip(), numbers.split()
                if wanted and name not in wanted:
                    continue
                for direction, number in (('in', numbers[0]), ('out', numbers[8])):
                    self._logger.emit_value('net.traffic', int(number),
                                            extra_fields={'interface': name, 'direction': direction})

        with open('/proc/loadavg') as load:
            self._logger.emit_value('load', float(load.read().split()[0]))
