package main

// The parts of docs/performance.md that have a table.
const (
	memory    = "memory"
	aRun      = "a run"
	scrape    = "a scrape"
	lines     = "lines"
	receivers = "receivers"
	upload    = "upload"
	binary    = "binary and start"
	hosts     = "hosts"
)

// parts are in the order of the page.
var parts = []string{hosts, memory, aRun, scrape, lines, receivers, upload, binary}

// benchmark is what one is about: its package's folder and its name, the part of
// the page that it is in, and what its figures are of.
type benchmark struct{ key, part, title string }

var benchmarks = []benchmark{
	{"BenchmarkLimitHost", hosts, "a minute of a host"},
	{"collector BenchmarkLimitSeriesMemory", memory, "resident memory of a series, both formats served, values changing"},
	{"collector BenchmarkLimitDistributionMemory", memory, "memory of a distribution"},
	{"BenchmarkLimitIdleMemory", memory, "resident memory of a bridge without scripts"},
	{"BenchmarkLimitScriptsMemory", memory, "resident memory with scripts of three series each, when all have run and both formats were served"},
	{"script/process BenchmarkLimitRun", aRun, "a run, against a bare os/exec loop that captures both streams in a session of its own"},
	{"BenchmarkLimitThousandScripts", aRun, "1,000 scripts a minute, the bridge's own process"},
	{"BenchmarkLimitFirstRound", aRun, "the first round of all scripts, against `xargs -P16`"},
	{"BenchmarkLimitLook", aRun, "a look for changes of the configuration, one every 30 seconds"},
	{"e2e BenchmarkLimitScrapeNodeExporter", scrape, "a scrape of 100,000 unchanged series of .prom files, against node_exporter with the same files"},
	{"collector BenchmarkLimitScrape", scrape, "a scrape of an unchanged page"},
	{"collector BenchmarkLimitScrapeChanged", scrape, "a gzipped scrape after 250 of 1,000 scripts changed, against one compression of the changed text"},
	{"collector BenchmarkLimitProcessSeries", scrape, "what `go_` and `process_` series add"},
	{"script/dialect/coscale BenchmarkLimitLines", lines, "a line for the CoScale agent"},
	{"script/dialect/coscale BenchmarkLimitEvents", lines, "an event for the CoScale agent"},
	{"script/dialect/exposition BenchmarkLimitLines", lines, "a line of Prometheus's format"},
	{"script/dialect/instrumental BenchmarkLimitLines", lines, "a line for Instrumental's agent"},
	{"script/dialect/nagios BenchmarkLimitLines", lines, "a line of a Nagios plugin's performance data"},
	{"script/dialect/scalyr BenchmarkLimitLines", lines, "a record of a Scalyr monitor"},
	{"script/dialect/textfile BenchmarkLimitLines", lines, "a line of a `.prom` file"},
	{"script BenchmarkLimitWay", lines, "a line on its way from a run's output to the page's series"},
	{"receive/statsd BenchmarkLimitLine", receivers, "a line of StatsD's, parsed and merged"},
	{"receive/statsd BenchmarkLimitSeries", receivers, "what StatsD's receiver keeps of a series, beside the page"},
	{"receive/collectd BenchmarkLimitValue", receivers, "a value of collectd's"},
	{"e2e BenchmarkLimitAgainstCollectdExporter", receivers, "collectd's packets, against collectd_exporter"},
	{"e2e BenchmarkLimitAgainstStatsDExporter", receivers, "StatsD's lines, against statsd_exporter"},
	{"receive/coscaleapi BenchmarkLimitPoints", receivers, "a point of CoScale's API, requests over loopback"},
	{"upload/coscale BenchmarkLimitUpload", upload, "what is sent to CoScale in a minute, from the batch to the removal from the spool"},
	{"upload/coscale BenchmarkLimitCatchUp", upload, "an hour's spool of 100,000 samples a minute, sent to CoScale"},
	{"upload/instrumental BenchmarkLimitUpload", upload, "what is sent to Instrumental in a minute, from the batch to the removal from the spool"},
	{"upload/instrumental BenchmarkLimitCatchUp", upload, "an hour's spool of 100,000 samples a minute, sent to Instrumental"},
	{"upload/remotewrite BenchmarkLimitRemoteWrite", upload, "what is sent by remote write in a minute, from the batch over the page to the removal from the spool"},
	{"upload/remotewrite BenchmarkLimitCatchUp", upload, "an hour's spool of 100,000 series a minute, sent by remote write"},
	{"BenchmarkLimitBinary", binary, "size of the stripped binary"},
	{"BenchmarkLimitBinaryParts", binary, "of the binary"},
	{"BenchmarkLimitStart", binary, "time from the start to the first page"},
}

func aboutOf(key string) benchmark {
	for _, b := range benchmarks {
		if b.key == key {
			return b
		}
	}
	return benchmark{key: key, part: "", title: key}
}
