package receivertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"collectd.org/api"
	"collectd.org/cdtime"
	"collectd.org/network"
)

// CollectdLoadTypes are the types of CollectdLoad, as in collectd's own types.db.
const CollectdLoadTypes = `cpu value:DERIVE:0:U
df_complex value:GAUGE:0:U
disk_io_time io_time:DERIVE:0:U, weighted_io_time:DERIVE:0:U
disk_merged read:DERIVE:0:U, write:DERIVE:0:U
disk_octets read:DERIVE:0:U, write:DERIVE:0:U
disk_ops read:DERIVE:0:U, write:DERIVE:0:U
disk_time read:DERIVE:0:U, write:DERIVE:0:U
if_dropped rx:DERIVE:0:U, tx:DERIVE:0:U
if_errors rx:DERIVE:0:U, tx:DERIVE:0:U
if_octets rx:DERIVE:0:U, tx:DERIVE:0:U
if_packets rx:DERIVE:0:U, tx:DERIVE:0:U
load shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
memory value:GAUGE:0:281474976710656
ps_count processes:GAUGE:0:1000000, threads:GAUGE:0:1000000
ps_cputime user:DERIVE:0:U, syst:DERIVE:0:U
ps_pagefaults minflt:DERIVE:0:U, majflt:DERIVE:0:U
ps_rss value:GAUGE:0:9223372036854775807
ps_state value:GAUGE:0:65535
swap value:GAUGE:0:1099511627776
tcp_connections value:GAUGE:0:4294967295
uptime value:GAUGE:0:4294967295
users value:GAUGE:0:65535
`

// CollectdLoadValues is how many values, each of a series of its own, CollectdLoad has of
// a host.
const CollectdLoadValues = 200

// loadLists are what a host of CollectdLoad reads, as collectd's plugins do: plugin,
// its instances, types, type instances, and of how many data sources.
var loadLists = []struct {
	plugin    string
	instances []string
	types     []string
	inside    []string
	sources   int
	grows     bool
}{
	{"cpu", []string{"0", "1", "2", "3", "4", "5", "6", "7"}, []string{"cpu"}, []string{"idle", "interrupt", "nice", "softirq", "steal", "system", "user", "wait"}, 1, true},
	{"interface", []string{"eth0", "eth1", "lo", "docker0"}, []string{"if_octets", "if_packets", "if_errors", "if_dropped"}, []string{""}, 2, true},
	{"disk", []string{"sda", "sdb", "dm-0"}, []string{"disk_octets", "disk_ops", "disk_time", "disk_merged", "disk_io_time"}, []string{""}, 2, true},
	{"load", []string{""}, []string{"load"}, []string{""}, 3, false},
	{"memory", []string{""}, []string{"memory"}, []string{"used", "buffered", "cached", "free", "slab_unrecl", "slab_recl"}, 1, false},
	{"df", []string{"root", "boot", "home", "srv", "var-lib-docker"}, []string{"df_complex"}, []string{"free", "reserved", "used"}, 1, false},
	{"processes", []string{""}, []string{"ps_state"}, []string{"running", "sleeping", "zombies", "stopped", "paging", "blocked"}, 1, false},
	{"processes", []string{"nginx", "postgres", "sshd", "redis"}, []string{"ps_count"}, []string{""}, 2, false},
	{"processes", []string{"nginx", "postgres", "sshd", "redis"}, []string{"ps_cputime", "ps_pagefaults"}, []string{""}, 2, true},
	{"processes", []string{"nginx", "postgres", "sshd", "redis"}, []string{"ps_rss"}, []string{""}, 1, false},
	{"swap", []string{""}, []string{"swap"}, []string{"used", "free", "cached"}, 1, false},
	{"tcpconns", []string{"22-local"}, []string{"tcp_connections"}, []string{"ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSED", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"}, 1, false},
	{"uptime", []string{""}, []string{"uptime"}, []string{""}, 1, false},
	{"users", []string{""}, []string{"users"}, []string{""}, 1, false},
}

// CollectdLoad makes the packets that so many hosts send in one interval, whose values
// depend on the round; by the writer of the collectd project, each as full as collectd
// makes them.
func CollectdLoad(t testing.TB, hosts, round int) [][]byte {
	t.Helper()
	var packets [][]byte
	at := time.Now()
	for host := range hosts {
		buffer := network.NewBuffer(network.DefaultBufferSize)
		flush := func() {
			packet, err := buffer.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, packet)
		}
		n := 0
		for _, vl := range loadOf(fmt.Sprintf("web-%04d.example.net", host)) {
			vl.Time, vl.Interval = at.Add(time.Duration(n)*10*time.Microsecond), 10*time.Second
			for i, v := range vl.Values {
				n++
				if vl.Values[i] = api.Derive(n*1000 + round*(n%7)*13); v == api.Gauge(0) {
					vl.Values[i] = api.Gauge(float64(n) + float64(round*(n%3))/8)
				}
			}
			err := buffer.Write(context.Background(), vl)
			if errors.Is(err, network.ErrNotEnoughSpace) {
				flush()
				err = buffer.Write(context.Background(), vl)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n != CollectdLoadValues {
			t.Fatalf("a host has %d values", n)
		}
		flush()
	}
	return packets
}

// loadOf are the lists of a host, with values of their kinds.
func loadOf(host string) (lists []*api.ValueList) {
	for _, l := range loadLists {
		for _, instance := range l.instances {
			for _, typ := range l.types {
				for _, inside := range l.inside {
					vl := &api.ValueList{Identifier: api.Identifier{Host: host, Plugin: l.plugin, PluginInstance: instance, Type: typ, TypeInstance: inside}}
					for range l.sources {
						if l.grows {
							vl.Values = append(vl.Values, api.Derive(0))
						} else {
							vl.Values = append(vl.Values, api.Gauge(0))
						}
					}
					lists = append(lists, vl)
				}
			}
		}
	}
	return lists
}

// RestampCollectd has the values of packets be of another time.
func RestampCollectd(packets [][]byte, at time.Time) {
	stamp := uint64(cdtime.New(at))
	for _, p := range packets {
		for len(p) >= 4 {
			if binary.BigEndian.Uint16(p) == 8 { // a time of high resolution
				binary.BigEndian.PutUint64(p[4:], stamp)
			}
			p = p[binary.BigEndian.Uint16(p[2:]):]
		}
	}
}
