//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkLimitHost plays a minute of a host in a shorter time: each script runs once
// and prints its series with other values than before, and Prometheus scrapes four times,
// gzipped. It tells what the bridge has in memory then, and what of a processor it would need
// for that minute, without what the scripts themselves need.
func BenchmarkLimitHost(b *testing.B) {
	if testing.Short() {
		b.Skip("it plays a minute of five hosts")
	}
	program := built(b)
	for _, host := range []struct {
		scripts, each int // series of each script
		minute        time.Duration
	}{
		{10, 10, 3 * time.Second},
		{100, 10, 3 * time.Second},
		{1000, 10, 12 * time.Second},
		{10, 1000, 3 * time.Second},
		{20, 5000, 6 * time.Second},
	} {
		b.Run(fmt.Sprintf("scripts=%d/series=%d", host.scripts, host.scripts*host.each), func(b *testing.B) {
			for b.Loop() {
				p := startBuilt(b, program, hostConfig(b, host.scripts, host.each, host.minute))
				p.get(b, "/metrics", "application/openmetrics-text;version=1.0.0", "gzip")
				<-time.After(host.minute + host.minute/4) // the first round, which is not spread
				used := ownTimeOf(b, p.cmd.Process.Pid)
				for range 4 {
					<-time.After(host.minute / 4)
					if status, _ := p.get(b, "/metrics", "application/openmetrics-text;version=1.0.0", "gzip"); status != http.StatusOK {
						b.Fatal(status)
					}
				}
				used = ownTimeOf(b, p.cmd.Process.Pid) - used
				b.ReportMetric(100*used.Seconds()/time.Minute.Seconds(), "%core")
				b.ReportMetric(p.resident(b), "MB")
				if _, page := p.get(b, "/metrics", "text/plain"); strings.Count(page, "\nhost_") != host.scripts*host.each {
					b.Fatalf("%d series", strings.Count(page, "\nhost_"))
				}
				p.end(b)
			}
		})
	}
}

// hostConfig has scripts that print other values each time, by the second at which they run.
func hostConfig(b *testing.B, scripts, each int, interval time.Duration) (file string) {
	b.Helper()
	dir := b.TempDir()
	var program, config strings.Builder
	program.WriteString("#!/bin/sh\nread now _ </proc/uptime\ncat <<END\n")
	for i := range each {
		if i%100 == 0 {
			fmt.Fprintf(&program, "# TYPE host_%d_bytes gauge\n", i)
		}
		fmt.Fprintf(&program, "host_%d_bytes{device=\"device-%d\"} %d${now#*.}\n", i-i%100, i%100, i)
	}
	program.WriteString("END\n")
	script := filepath.Join(dir, "host.sh")
	if err := os.WriteFile(script, []byte(program.String()), 0o700); err != nil {
		b.Fatal(err)
	}
	config.WriteString("scripts:\n")
	for i := range scripts {
		fmt.Fprintf(&config, "- {name: host-%d, dialect: prometheus, command: %s, interval: %v}\n", i, script, interval)
	}
	file = filepath.Join(dir, "scriptbridge.yml")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}
