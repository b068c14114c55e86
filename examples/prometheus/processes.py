#!/usr/bin/env python3
"""Prints what /proc says of processes, in Prometheus's text format.

A script like this one is what people run from cron for node_exporter's
textfile collector, with `> processes.prom.$$ && mv processes.prom.$$ ...`
behind it. Here it just prints.

Try it:  scriptbridge try --dialect=prometheus -- ./processes.py
"""
import os

BOUNDS = [60, 600, 3600, 21600, 86400, 604800]  # seconds


def processes():
    """Gives state, threads and age in seconds of every process."""
    with open("/proc/uptime") as f:
        uptime = float(f.read().split()[0])
    tick = os.sysconf("SC_CLK_TCK")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, errors="replace") as f:
                # The name stands in brackets and may hold anything.
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        yield fields[0], int(fields[17]), max(uptime - int(fields[19]) / tick, 0)


def escaped(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


found = list(processes())
states = [state for state, _, _ in found]
ages = [age for _, _, age in found]

print("# HELP processes_by_state Processes, by the letter that ps shows.")
print("# TYPE processes_by_state gauge")
for state in sorted(set(states)):
    print('processes_by_state{state="%s"} %d' % (state, states.count(state)))

print("# HELP processes_threads Threads of all processes.")
print("# TYPE processes_threads gauge")
print("processes_threads %d" % sum(threads for _, threads, _ in found))

print("# HELP processes_age_seconds How long processes have been running.")
print("# TYPE processes_age_seconds histogram")
for bound in BOUNDS:
    print('processes_age_seconds_bucket{le="%d"} %d' % (bound, sum(age <= bound for age in ages)))
print('processes_age_seconds_bucket{le="+Inf"} %d' % len(ages))
print("processes_age_seconds_sum %.2f" % sum(ages))
print("processes_age_seconds_count %d" % len(ages))

kernel = os.uname()
print("# HELP processes_kernel_info The kernel that runs them.")
print("# TYPE processes_kernel_info gauge")
print('processes_kernel_info{release="%s",machine="%s"} 1' % (escaped(kernel.release), escaped(kernel.machine)))
