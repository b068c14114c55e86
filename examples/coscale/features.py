#!/usr/bin/env python3
"""features.py: everything that a CoScale script can say, with made-up values.

Read load.sh and disks.py first. This is the page to come back to when you
wonder what a word of the protocol does; run it with

    scriptbridge try -- ./features.py

The values are computed from the clock, so the script keeps no state and gives
the same from every folder.
"""

import json
import math
import sys
import time

# The configuration, printed for -c. All of it may be left out but for `id`
# and `name` of each metric and event.
CONFIGURATION = {
    # Seconds from run to run; at least 60.
    "period": 60,
    # Milliseconds that -d may take; at most 60000. What takes longer is ended
    # and nothing that it printed is used.
    "maxruntime": 5000,
    "metrics": [
        # datatype says what kind of number it is, calctype what is made of it.
        #
        # GAUGE, Instant: a value that goes up and down. The unit is put behind
        # the name, as Prometheus has it: coscale_demo_temperature_celsius.
        # groups is a path for the user interface, several divided by commas;
        # tags give the metric a meaning. Both end up in
        # scriptbridge_metric_info.
        {
            "id": 1,
            "name": "Demo temperature",
            "description": "A temperature, up and down in an hour",
            "unit": "C",
            "datatype": "GAUGE",
            "calctype": "Instant",
            "groups": "Demo/Climate/Indoor,Demo/All",
            "tags": "DEMO,TEMPERATURE",
        },
        # GAUGE, Difference: on Prometheus's page still the value; CoScale gets
        # by how much it changed.
        {
            "id": 2,
            "name": "Demo queue length",
            "description": "Jobs that wait",
            "unit": "",
            "datatype": "GAUGE",
            "calctype": "Difference",
        },
        # Average, with any datatype: the mean of the last few minutes.
        {
            "id": 3,
            "name": "Demo free memory",
            "description": "Bytes of memory that are free",
            "unit": "B",
            "datatype": "GAUGE",
            "calctype": "Average",
        },
        # COUNT, Instant: a number for each run ("lines added since last time").
        # The runs are added up to a counter: coscale_demo_lines_total.
        {
            "id": 4,
            "name": "Demo lines",
            "description": "Lines that were added to a log",
            "unit": "",
            "datatype": "COUNT",
            "calctype": "Instant",
        },
        # COUNT, Difference: what is printed is a running total already.
        {
            "id": 5,
            "name": "Demo requests",
            "description": "Requests that were answered",
            "unit": "",
            "datatype": "COUNT",
            "calctype": "Difference",
            # Dimensions become labels. Their ids mean something in this
            # metric only: another metric may use 1 and 2 for other things.
            "dimensions": [{"id": 1, "name": "method"}, {"id": 2, "name": "status"}],
        },
        {
            "id": 6,
            "name": "Demo workers",
            "description": "Workers, on average",
            "unit": "",
            "datatype": "COUNT",
            "calctype": "Average",
        },
        # COUNTER, Instant: a total that only grows, printed as it is:
        # coscale_demo_sent_bytes_total.
        {
            "id": 7,
            "name": "Demo sent",
            "description": "Bytes that were sent",
            "unit": "bytes",
            "datatype": "COUNTER",
            "calctype": "Instant",
            "dimensions": [{"id": 1, "name": "interface"}],
        },
        # COUNTER, Difference: the same on Prometheus's page, where rate() and
        # increase() take the difference; CoScale gets the difference.
        {
            "id": 8,
            "name": "Demo errors",
            "description": "Errors that were seen",
            "unit": "",
            "datatype": "COUNTER",
            "calctype": "Difference",
        },
        {
            "id": 9,
            "name": "Demo backlog",
            "description": "Bytes yet to be written, on average",
            "unit": "bytes",
            "datatype": "COUNTER",
            "calctype": "Average",
        },
        # DOUBLE: any number; it is what is meant when datatype is left out.
        # An id may be 0, and ids may come in any order.
        {
            "id": 0,
            "name": "Demo hit ratio",
            "description": "Share of the requests that a cache answered",
            "unit": "",
            "datatype": "DOUBLE",
            "calctype": "Instant",
        },
        {
            "id": 10,
            "name": "Demo busy time",
            "description": "Time that was spent on work",
            "unit": "s",
            "datatype": "DOUBLE",
            "calctype": "Difference",
        },
        {
            "id": 11,
            "name": "Demo response time",
            "description": "Time to the first byte of an answer",
            "unit": "s",
            "datatype": "DOUBLE",
            "calctype": "Average",
            "dimensions": [{"id": 1, "name": "url"}],
        },
        # As little as there can be: DOUBLE, Instant.
        {"id": 12, "name": "Demo minimum"},
    ],
    "events": [
        # Attributes that are declared are shown on Prometheus's page; others
        # are in the event log only.
        {
            "id": 1,
            "name": "Demo job",
            "description": "A job that ran",
            "attributeDescriptions": [
                {"name": "Exit code", "type": "integer", "unit": ""},
                {"name": "Took", "type": "float", "unit": "s"},
            ],
        },
        {"id": 2, "name": "Demo release", "description": "A new version of the application", "attributeDescriptions": []},
        {"id": 3, "name": "Demo alarm"},
    ],
}


def data(now):
    wave = math.sin(now % 3600 / 3600 * 2 * math.pi)  # once up and down in an hour

    # A line for a metric: M and its id, the dimensions in double quotes when it
    # has any, the value. A value is a decimal number: no unit, no thousands'
    # separator. When there is no value, print no line.
    print(f"M1 {21 + 3 * wave:.2f}")
    print(f"M2 {int(10 + 10 * wave)}")
    print(f"M3 {int((2 + wave) * 2**30)}")
    print(f"M4 {now % 10}")
    for method, share in ("GET", 7), ("POST", 2):
        print(f'M5 "1:{method},2:200" {now * share}')
        print(f'M5 "1:{method},2:500" {now * share // 100}')
    print('M6 "" 4')  # empty dimensions are as good as none
    print(f'M7 "1:eth0" {now * 1000}')
    print(f"M8 {now // 60}")
    print(f"M9 {4096 + int(4096 * wave)}")
    print(f"M0 {0.9 + wave / 20:.4f}")
    print(f"M10 {now * 0.25:.2f}")
    # A value of a dimension may hold colons, and commas that no id follows.
    print(f'M11 "1:http://localhost:8080/a,b" {0.2 + wave / 10:.3f}')
    print("M12 1e-3")
    # What begins with neither M nor E is none of scriptbridge's business.
    print("# all is well")

    # A line for an event: E and its id, when it began and ended, a message and
    # its attributes as JSON, both in double quotes (the quotes in the JSON stay
    # as they are), and S for this server or A for the whole application.
    #
    # Times above 0 are Unix seconds. An event that is printed again, with the
    # same times and texts, is the same event: it counts once. So this one,
    # which lasted the first minute of the hour, happens once an hour.
    hour = now - now % 3600
    print(f'E1 {hour} {hour + 60} "Hourly job: "clean up" is done" "{{"Exit code":0,"Took":59.5,"host":{{"os":"linux"}}}}" S')
    day = now - now % 86400
    print(f'E2 {day} {day} "Release of the day" "{{}}" A')
    # Times at or below 0 are seconds ago, 0 is now. Each run then tells of
    # another event, so print it only when something happened: here in the
    # first minute of an hour. Without S or A it is the server's.
    if now % 3600 < 60:
        print('E3 -30 0 "The hour has struck" "{"hour":%d}"' % (now // 3600 % 24))


if sys.argv[1:] == ["-c"]:
    print(json.dumps(CONFIGURATION, indent=2))
elif sys.argv[1:] == ["-d"]:
    data(int(time.time()))
else:
    sys.exit(f"usage: {sys.argv[0]} -c | -d")
