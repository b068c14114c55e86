package upload

import (
	"maps"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/upload/spool"
)

// State is what there is to say of an upload.
type State struct {
	Name    string
	Opening bool         // its spool is not open yet
	Stats   *spool.Stats // nil while it is not
	Error   string       // what fails, now; empty: nothing

	lost map[string]uint64
}

// droppedUnavailable is the reason for what could not be kept, and whose source
// is not told.
const droppedUnavailable = "unavailable"

// dropped is what was lost, by reason: all reasons are there, so that the first
// loss is seen to be one.
func (s *State) dropped() map[string]uint64 {
	all := map[string]uint64{spool.Full: 0, spool.Damaged: 0, spool.Removed: 0, droppedUnavailable: 0}
	maps.Copy(all, s.lost)
	if s.Stats != nil {
		for reason, n := range s.Stats.DroppedBy {
			all[reason] += n
		}
	}
	return all
}

// States are those of the uploads that are configured.
func (u *Set) States() []State {
	var all []State
	for _, one := range u.list() {
		all = append(all, one.state())
	}
	return all
}

// What the page says of uploads. Items are values and events.
var (
	uploadUp = prometheus.NewDesc("scriptbridge_upload_up",
		"Whether sending goes well: 1 for yes, or no attempt yet, 0 while anything fails.", []string{"upload"}, nil)
	uploadQueue = prometheus.NewDesc("scriptbridge_upload_queue_length",
		"Values and events that wait to be sent.", []string{"upload"}, nil)
	uploadBytes = prometheus.NewDesc("scriptbridge_upload_queue_bytes",
		"Room on disk that what waits takes, as spool.max_bytes counts it.", []string{"upload"}, nil)
	uploadOldest = prometheus.NewDesc("scriptbridge_upload_oldest_age_seconds",
		"Age of the oldest value or event that waits; 0 for none.", []string{"upload"}, nil)
	uploadSent = prometheus.NewDesc("scriptbridge_upload_sent_total",
		"Values and events that have been sent.", []string{"upload"}, nil)
	uploadRefused = prometheus.NewDesc("scriptbridge_upload_refused_total",
		"Values and events that the server refused for good, and that were set aside.", []string{"upload"}, nil)
	uploadDropped = prometheus.NewDesc("scriptbridge_upload_dropped_total",
		"Values and events that were lost here, by reason: full (spool.max_bytes), damaged or removed (the spool's file), unavailable (the disk), too_old (max_age of remote write).", []string{"upload", "reason"}, nil)
	uploadRetried = prometheus.NewDesc("scriptbridge_upload_retried_total",
		"Attempts to send that failed and were made again.", []string{"upload"}, nil)
	uploadSkipped = prometheus.NewDesc("scriptbridge_upload_skipped_total",
		"Samples that this kind of upload has no words for, or that rules of relabelling (relabel) drop, by reason.", []string{"upload", "reason"}, nil)
)

// Describe gives the families of uploads.
func (*Set) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		uploadUp, uploadQueue, uploadBytes, uploadOldest, uploadSent, uploadRefused, uploadDropped, uploadRetried, uploadSkipped,
	} {
		ch <- d
	}
}

// Collect gives the state of each upload that is configured; of one whose spool
// is not open, only whether it is well and what it lost.
func (u *Set) Collect(ch chan<- prometheus.Metric) {
	for _, s := range u.States() {
		up := 1.0
		if s.Error != "" {
			up = 0
		}
		ch <- prometheus.MustNewConstMetric(uploadUp, prometheus.GaugeValue, up, s.Name)
		for reason, n := range s.dropped() {
			ch <- prometheus.MustNewConstMetric(uploadDropped, prometheus.CounterValue, float64(n), s.Name, reason)
		}
		if s.Stats != nil {
			collectUpload(ch, s.Name, s.Stats)
		}
	}
}

func collectUpload(ch chan<- prometheus.Metric, name string, stats *spool.Stats) {
	age := 0.0
	if !stats.Oldest.IsZero() {
		age = max(0, time.Since(stats.Oldest).Seconds())
	}
	for _, m := range []struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value float64
	}{
		{uploadQueue, prometheus.GaugeValue, float64(stats.Items)},
		{uploadBytes, prometheus.GaugeValue, float64(stats.Bytes)},
		{uploadOldest, prometheus.GaugeValue, age},
		{uploadSent, prometheus.CounterValue, float64(stats.Sent)},
		{uploadRefused, prometheus.CounterValue, float64(stats.Refused)},
		{uploadRetried, prometheus.CounterValue, float64(stats.Retried)},
	} {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value, name)
	}
	for reason, n := range stats.Skipped {
		ch <- prometheus.MustNewConstMetric(uploadSkipped, prometheus.CounterValue, float64(n), name, strings.ToValidUTF8(reason, "_"))
	}
}
