package collector

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"scriptbridge/record"
)

// names holds every row and every sentence of spec/mapping.md, Names.
var names = []struct {
	prefix, name, unit string
	typ                record.Type
	id                 string
	want               metricName
}{
	// The examples of the table.
	{"coscale", "Incoming traffic on interface", "b/s", record.Gauge, "1",
		metricName{"coscale_incoming_traffic_on_interface_bytes_per_second", "coscale_incoming_traffic_on_interface_bytes_per_second", "bytes_per_second"}},
	{"coscale", "Server time", "hours", record.Gauge, "1", same("coscale_server_time_hours", "hours")},
	{"coscale", "Server time", "minutes", record.Gauge, "2", same("coscale_server_time_minutes", "minutes")},
	{"coscale", "Second metric", "", record.Counter, "2", counterName("coscale_second_metric", "")},
	{"coscale", "HTTP status - google.be", "", record.Gauge, "0", same("coscale_http_status_google_be", "")},
	{"instrumental_application_load", "memory", "", record.Gauge, "", same("instrumental_application_load_memory", "")},
	{"scalyr", "uniform_count", "", record.Unknown, "", same("scalyr_uniform_count", "")},

	// Units, free of case but for single letters.
	{"p", "x", "b", record.Gauge, "", same("p_x_bytes", "bytes")},
	{"p", "x", "B", record.Gauge, "", same("p_x_bytes", "bytes")},
	{"p", "x", "Bytes", record.Gauge, "", same("p_x_bytes", "bytes")},
	{"p", "x", "B/s", record.Gauge, "", same("p_x_bytes_per_second", "bytes_per_second")},
	{"p", "x", "s", record.Gauge, "", same("p_x_seconds", "seconds")},
	{"p", "x", "S", record.Gauge, "", same("p_x_s", "s")},
	{"p", "x", "MS", record.Gauge, "", same("p_x_milliseconds", "milliseconds")},
	{"p", "x", "DAYS", record.Gauge, "", same("p_x_days", "days")},
	{"p", "x", "C", record.Gauge, "", same("p_x_celsius", "celsius")},
	{"p", "x", "c", record.Gauge, "", same("p_x_c", "c")},
	{"p", "x", "$", record.Gauge, "", same("p_x_dollars", "dollars")},
	{"p", "x", "%", record.Gauge, "", same("p_x_percent", "percent")},
	{"p", "x", "#", record.Gauge, "", same("p_x", "")},
	{"p", "x", " ", record.Gauge, "", same("p_x", "")},
	{"p", "x", "1", record.Gauge, "", same("p_x", "")},
	{"p", "x", "(1)", record.Gauge, "", same("p_x", "")},
	{"p", "x", "Data-Points", record.Gauge, "", same("p_x_data_points", "data_points")},
	{"p", "x", "{widgets}", record.Gauge, "", same("p_x_widgets", "widgets")},
	{"p", "x", "Hz", record.Gauge, "", same("p_x_hertz", "hertz")},
	{"p", "x", "W", record.Gauge, "", same("p_x_watts", "watts")},
	{"p", "x", "w", record.Gauge, "", same("p_x_w", "w")},
	{"p", "x", "µs", record.Gauge, "", same("p_x_microseconds", "microseconds")},
	{"p", "x", "°C", record.Gauge, "", same("p_x_celsius", "celsius")},
	{"p", "x", "requests/connection", record.Counter, "", counterName("p_x_requests_per_connection", "requests_per_connection")},
	{"p", "x", "#/s", record.Gauge, "", same("p_x_per_second", "")},

	// A trailing phrase equal to the unit stands once.
	{"p", "free bytes", "b", record.Gauge, "", same("p_free_bytes", "bytes")},
	{"p", "traffic bytes per second", "b/s", record.Gauge, "", same("p_traffic_bytes_per_second", "bytes_per_second")},
	{"p", "bytes", "b", record.Gauge, "", same("p_bytes", "bytes")},
	{"p", "requests per second", "#/s", record.Gauge, "", same("p_requests_per_second", "")},
	{"p", "requests per second", "requests/s", record.Gauge, "", same("p_requests_per_second", "requests_per_second")},
	// A main word that stands in the name already is not repeated.
	{"p", "bytes free", "b", record.Gauge, "", same("p_bytes_free", "")},
	{"p", "bytes received", "b/s", record.Gauge, "", same("p_bytes_received_per_second", "")},
	{"p", "bytes received per second", "b/s", record.Gauge, "", same("p_bytes_received_per_second", "")},
	{"p", "data points seen", "data points", record.Gauge, "", same("p_data_points_seen", "")},

	// Counters.
	{"p", "errors", "errors/s", record.Counter, "", counterName("p_errors", "errors")},
	{"p", "failed", "errors/s", record.Counter, "", counterName("p_failed_errors", "errors")},
	{"p", "errors per second", "errors/s", record.Counter, "", counterName("p_errors", "errors")},
	{"p", "errors per second", "/s", record.Counter, "", counterName("p_errors", "")},
	{"p", "traffic", "b/s", record.Counter, "", counterName("p_traffic_bytes", "bytes")},
	{"p", "traffic bytes per second", "b/s", record.Counter, "", counterName("p_traffic_bytes", "bytes")},
	{"p", "traffic bytes", "b/s", record.Counter, "", counterName("p_traffic_bytes", "bytes")},
	{"p", "total errors total", "", record.Counter, "", counterName("p_errors", "")},
	{"p", "disk total", "b", record.Gauge, "", same("p_disk_total_bytes", "bytes")},

	// Nothing left.
	{"p", "", "", record.Gauge, "3", same("p_metric_3", "")},
	{"p", "温度", "C", record.Gauge, "3", same("p_metric_3_celsius", "celsius")},
	{"p", "total", "", record.Counter, "3", counterName("p_metric_3", "")},
	{"p", "total", "total", record.Counter, "3", counterName("p_metric_3", "")},
	{"p", "per second", "/s", record.Counter, "3", counterName("p_metric_3", "")},
	{"", "!", "", record.Unknown, "", same("metric", "")},

	// No prefix.
	{"", "5xx errors", "", record.Gauge, "", same("_5xx_errors", "")},
	{"", "bytes", "b", record.Gauge, "", same("bytes", "")},
}

func same(name, unit string) metricName { return metricName{name, name, unit} }

func counterName(family, unit string) metricName { return metricName{family, family + "_total", unit} }

func TestMapName(t *testing.T) {
	for _, tt := range names {
		if got := mapName(tt.prefix, tt.name, tt.unit, tt.typ, tt.id); got != tt.want {
			t.Errorf("%q %q %q %v %q: got %+v, want %+v", tt.prefix, tt.name, tt.unit, tt.typ, tt.id, got, tt.want)
		}
	}
}

func TestLabelNames(t *testing.T) {
	own := []string{"script", "team"}
	tests := []struct {
		raw, declared, want []string
	}{
		{[]string{"interface"}, nil, []string{"interface"}},
		{[]string{"Mount Point", "a-.b", "_x"}, nil, []string{"mount_point", "a_b", "_x"}},
		{[]string{"__name__", "____y", "___z"}, nil, []string{"name_", "y", "_z"}},
		{[]string{"5xx"}, nil, []string{"key_5xx"}},
		{[]string{"le", "quantile"}, nil, []string{"le", "quantile"}},
		// Nothing left: its position.
		{[]string{"!", "host"}, []string{"host", "!"}, []string{"dimension_2", "host"}},
		{[]string{"!"}, []string{"host", "!"}, []string{"dimension_2"}},
		{[]string{"ä", ""}, nil, []string{"dimension_2", "dimension_1"}},
		// Two that meet, in declared order whatever the order in the line.
		{[]string{"Host", "host"}, []string{"host", "Host"}, []string{"host_2", "host"}},
		{[]string{"host", "Host"}, []string{"host", "Host"}, []string{"host", "host_2"}},
		{[]string{"host", "Host"}, nil, []string{"host_2", "host"}},
		{[]string{"Host", "host"}, nil, []string{"host", "host_2"}},
		{[]string{"a", "a", "a_2"}, nil, []string{"a", "a_2", "a_2_2"}},
		// Ours.
		{[]string{"script", "Team", "x"}, nil, []string{"exported_script", "exported_team", "x"}},
		{[]string{"script", "exported_script"}, nil, []string{"exported_exported_script", "exported_script"}},
		{[]string{"script", "SCRIPT"}, nil, []string{"exported_exported_script", "exported_script"}},
	}
	for _, tt := range tests {
		if got := labelNames(own, tt.raw, tt.declared); !slices.Equal(got, tt.want) {
			t.Errorf("%q of %q: got %q, want %q", tt.raw, tt.declared, got, tt.want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aäb", 2, "a"}, {"aäb", 3, "aä"}, {"温", 2, ""}, {"", 0, ""},
	} {
		if got := cut(tt.text, tt.n); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.text, tt.n, got, tt.want)
		}
	}
}

var (
	validFamily = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	validUnit   = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
	validLabel  = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
)

// FuzzName holds the pure mappings to what the page needs of them.
func FuzzName(f *testing.F) {
	for _, tt := range names {
		f.Add(tt.prefix, tt.name, tt.unit, uint8(tt.typ), tt.id)
	}
	f.Fuzz(func(t *testing.T, prefix, name, unit string, typ uint8, id string) {
		prefix = validPrefix(prefix)
		typ %= 3
		n := mapName(prefix, name, unit, record.Type(typ), id)
		if !validFamily.MatchString(n.family) || !validFamily.MatchString(n.sample) {
			t.Errorf("not a name: %+v", n)
		}
		if want := n.family + kindOfType(record.Type(typ)).suffix(); n.sample != want {
			t.Errorf("sample %q, want %q", n.sample, want)
		}
		if prefix != "" && !strings.HasPrefix(n.family, prefix+"_") {
			t.Errorf("%q is without its prefix", n.family)
		}
		if n.unit != "" && (!validUnit.MatchString(n.unit) || !strings.HasSuffix(n.family, "_"+n.unit)) {
			t.Errorf("unit %q of %q", n.unit, n.family)
		}
		raw := strings.Split(name+","+unit+","+id, ",")
		own := []string{"script", "a_2"}
		labels := labelNames(own, raw, strings.Split(id, ","))
		seen := map[string]bool{"script": true, "a_2": true}
		for _, l := range labels {
			if seen[l] || !validLabel.MatchString(l) || strings.HasPrefix(l, "__") {
				t.Errorf("label %q of %q", l, labels)
			}
			seen[l] = true
		}
	})
}
