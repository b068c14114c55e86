package collector

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// names holds every rule on names.
var names = []struct {
	prefix, name, unit string
	typ                record.Type
	id                 string
	sample             string
	shown              string // as # UNIT
}{
	// The examples of the table.
	{"coscale", "Incoming traffic on interface", "b/s", record.Gauge, "1", "coscale_incoming_traffic_on_interface_bytes_per_second", "bytes_per_second"},
	{"coscale", "Server time", "hours", record.Gauge, "1", "coscale_server_time_hours", "hours"},
	{"coscale", "Server time", "minutes", record.Gauge, "2", "coscale_server_time_minutes", "minutes"},
	{"coscale", "Second metric", "", record.Counter, "2", "coscale_second_metric_total", ""},
	{"coscale", "HTTP status - google.be", "", record.Gauge, "0", "coscale_http_status_google_be", ""},
	{"instrumental_application_load", "memory", "", record.Gauge, "", "instrumental_application_load_memory", ""},
	{"scalyr", "uniform_count", "", record.Unknown, "", "scalyr_uniform_count", ""},

	// Units, free of case but for single letters.
	{"p", "x", "b", record.Gauge, "", "p_x_bytes", "bytes"},
	{"p", "x", "B", record.Gauge, "", "p_x_bytes", "bytes"},
	{"p", "x", "Bytes", record.Gauge, "", "p_x_bytes", "bytes"},
	{"p", "x", "B/s", record.Gauge, "", "p_x_bytes_per_second", "bytes_per_second"},
	{"p", "x", "s", record.Gauge, "", "p_x_seconds", "seconds"},
	{"p", "x", "S", record.Gauge, "", "p_x_s", "s"},
	{"p", "x", "MS", record.Gauge, "", "p_x_milliseconds", "milliseconds"},
	{"p", "x", "DAYS", record.Gauge, "", "p_x_days", "days"},
	{"p", "x", "C", record.Gauge, "", "p_x_celsius", "celsius"},
	{"p", "x", "c", record.Gauge, "", "p_x_c", "c"},
	{"p", "x", "$", record.Gauge, "", "p_x_dollars", "dollars"},
	{"p", "x", "%", record.Gauge, "", "p_x_percent", "percent"},
	{"p", "x", "#", record.Gauge, "", "p_x", ""},
	{"p", "x", " ", record.Gauge, "", "p_x", ""},
	{"p", "x", "1", record.Gauge, "", "p_x", ""},
	{"p", "x", "(1)", record.Gauge, "", "p_x", ""},
	{"p", "x", "Data-Points", record.Gauge, "", "p_x_data_points", "data_points"},
	{"p", "x", "{widgets}", record.Gauge, "", "p_x_widgets", "widgets"},
	{"p", "x", "Hz", record.Gauge, "", "p_x_hertz", "hertz"},
	{"p", "x", "W", record.Gauge, "", "p_x_watts", "watts"},
	{"p", "x", "w", record.Gauge, "", "p_x_w", "w"},
	// A prefix is spelled out, since its case carries meaning.
	{"p", "x", "mW", record.Gauge, "", "p_x_milliwatts", "milliwatts"},
	{"p", "x", "MW", record.Gauge, "", "p_x_megawatts", "megawatts"},
	{"p", "x", "kWh", record.Counter, "", "p_x_kilowatt_hours_total", "kilowatt_hours"},
	{"p", "x", "mX", record.Gauge, "", "p_x_mx", "mx"},
	{"p", "x", "MX", record.Gauge, "", "p_x_mega_x", "mega_x"},
	{"p", "x", "MB", record.Gauge, "", "p_x_mb", "mb"},
	{"p", "x", "µs", record.Gauge, "", "p_x_microseconds", "microseconds"},
	{"p", "x", "°C", record.Gauge, "", "p_x_celsius", "celsius"},
	{"p", "x", "requests/connection", record.Counter, "", "p_x_requests_per_connection_total", "requests_per_connection"},
	{"p", "x", "#/s", record.Gauge, "", "p_x_per_second", ""},

	// A trailing phrase equal to the unit stands once.
	{"p", "free bytes", "b", record.Gauge, "", "p_free_bytes", "bytes"},
	{"p", "traffic bytes per second", "b/s", record.Gauge, "", "p_traffic_bytes_per_second", "bytes_per_second"},
	{"p", "bytes", "b", record.Gauge, "", "p_bytes", "bytes"},
	{"p", "requests per second", "#/s", record.Gauge, "", "p_requests_per_second", ""},
	{"p", "requests per second", "requests/s", record.Gauge, "", "p_requests_per_second", "requests_per_second"},
	// A main word that stands in the name already is not repeated.
	{"p", "bytes free", "b", record.Gauge, "", "p_bytes_free", ""},
	{"p", "bytes received", "b/s", record.Gauge, "", "p_bytes_received_per_second", ""},
	{"p", "bytes received per second", "b/s", record.Gauge, "", "p_bytes_received_per_second", ""},
	{"p", "data points seen", "data points", record.Gauge, "", "p_data_points_seen", ""},

	// Counters.
	{"p", "errors", "errors/s", record.Counter, "", "p_errors_total", "errors"},
	{"p", "failed", "errors/s", record.Counter, "", "p_failed_errors_total", "errors"},
	{"p", "errors per second", "errors/s", record.Counter, "", "p_errors_total", "errors"},
	{"p", "errors per second", "/s", record.Counter, "", "p_errors_total", ""},
	{"p", "traffic", "b/s", record.Counter, "", "p_traffic_bytes_total", "bytes"},
	{"p", "traffic bytes per second", "b/s", record.Counter, "", "p_traffic_bytes_total", "bytes"},
	{"p", "traffic bytes", "b/s", record.Counter, "", "p_traffic_bytes_total", "bytes"},
	{"p", "total errors total", "", record.Counter, "", "p_errors_total", ""},
	{"p", "disk total", "b", record.Gauge, "", "p_disk_total_bytes", "bytes"},

	// Nothing left.
	{"p", "", "", record.Gauge, "3", "p_metric_3", ""},
	{"p", "温度", "C", record.Gauge, "3", "p_metric_3_celsius", "celsius"},
	{"p", "total", "", record.Counter, "3", "p_metric_3_total", ""},
	{"p", "total", "total", record.Counter, "3", "p_metric_3_total", ""},
	{"p", "per second", "/s", record.Counter, "3", "p_metric_3_total", ""},
	{"", "!", "", record.Unknown, "", "metric", ""},

	// No prefix.
	{"", "5xx errors", "", record.Gauge, "", "_5xx_errors", ""},
	{"", "bytes", "b", record.Gauge, "", "bytes", ""},
}

func TestMapName(t *testing.T) {
	for _, tt := range names {
		sample, unit := mapName(tt.prefix, tt.name, tt.unit, tt.typ, tt.id)
		if sample != tt.sample || unit != tt.shown {
			t.Errorf("%q %q %q %v %q: got %s (%s), want %s (%s)", tt.prefix, tt.name, tt.unit, tt.typ, tt.id, sample, unit, tt.sample, tt.shown)
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
		if got := labelNames(own, tt.raw, tt.declared, labelName); !slices.Equal(got, tt.want) {
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
		if got := texts.Cut(tt.text, tt.n); got != tt.want {
			t.Errorf("texts.Cut(%q, %d) = %q, want %q", tt.text, tt.n, got, tt.want)
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
		sample, shown := mapName(prefix, name, unit, record.Type(typ), id)
		family, ok := strings.CutSuffix(sample, kindOfType[record.Type(typ)].suffix())
		if !ok || !validFamily.MatchString(family) || prefix != "" && !strings.HasPrefix(family, prefix+"_") {
			t.Errorf("not a name: %q", sample)
		}
		if shown != "" && (!validUnit.MatchString(shown) || !strings.HasSuffix(family, "_"+shown)) {
			t.Errorf("unit %q of %q", shown, family)
		}
		raw := strings.Split(name+","+unit+","+id, ",")
		own := []string{"script", "a_2"}
		labels := labelNames(own, raw, strings.Split(id, ","), labelName)
		seen := map[string]bool{"script": true, "a_2": true}
		for _, l := range labels {
			if seen[l] || !validLabel.MatchString(l) || strings.HasPrefix(l, "__") {
				t.Errorf("label %q of %q", l, labels)
			}
			seen[l] = true
		}
	})
}
