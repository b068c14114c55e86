package main

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/spool"
	"scriptbridge/web"
)

// uploadState is what there is to say of an upload.
type uploadState struct {
	name  string
	stats spool.Stats
	err   string
}

func (u *uploads) states() []uploadState {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []uploadState
	for _, one := range u.at {
		one.mu.Lock()
		sink, err := one.sink, one.err
		one.mu.Unlock()
		state := uploadState{name: one.kind.name}
		if sink != nil {
			state.stats = sink.Stats()
			state.err = state.stats.Failing
		}
		if err != nil {
			state.err = err.Error()
		}
		all = append(all, state)
	}
	return all
}

// views shows them on the status page.
func (u *uploads) views() []web.UploadView {
	var views []web.UploadView
	for _, s := range u.states() {
		views = append(views, web.UploadView{
			Name: s.name, OK: s.err == "", Error: s.err,
			Queue: int(s.stats.Items), QueueBytes: s.stats.Bytes, Oldest: s.stats.Oldest,
			Sent: s.stats.Sent, Refused: s.stats.Refused,
		})
	}
	return views
}

// What the page says of uploads. Items are values and events.
var (
	uploadUp = prometheus.NewDesc("scriptbridge_upload_up",
		"Whether the last attempt to send went well: 1 for yes, or none yet, 0 for no.", []string{"upload"}, nil)
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
		"Values and events that were lost because the spool was full or damaged.", []string{"upload"}, nil)
	uploadRetried = prometheus.NewDesc("scriptbridge_upload_retried_total",
		"Attempts to send that failed and were made again.", []string{"upload"}, nil)
	uploadSkipped = prometheus.NewDesc("scriptbridge_upload_skipped_total",
		"Samples that this kind of upload has no words for, by reason.", []string{"upload", "reason"}, nil)
)

// Describe gives the families of uploads.
func (*uploads) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		uploadUp, uploadQueue, uploadBytes, uploadOldest, uploadSent, uploadRefused, uploadDropped, uploadRetried, uploadSkipped,
	} {
		ch <- d
	}
}

// Collect gives the state of each upload that is configured.
func (u *uploads) Collect(ch chan<- prometheus.Metric) {
	for _, s := range u.states() {
		up, age := 1.0, 0.0
		if s.err != "" {
			up = 0
		}
		if !s.stats.Oldest.IsZero() {
			age = max(0, time.Since(s.stats.Oldest).Seconds())
		}
		for _, m := range []struct {
			desc  *prometheus.Desc
			kind  prometheus.ValueType
			value float64
		}{
			{uploadUp, prometheus.GaugeValue, up},
			{uploadQueue, prometheus.GaugeValue, float64(s.stats.Items)},
			{uploadBytes, prometheus.GaugeValue, float64(s.stats.Bytes)},
			{uploadOldest, prometheus.GaugeValue, age},
			{uploadSent, prometheus.CounterValue, float64(s.stats.Sent)},
			{uploadRefused, prometheus.CounterValue, float64(s.stats.Refused)},
			{uploadDropped, prometheus.CounterValue, float64(s.stats.Dropped)},
			{uploadRetried, prometheus.CounterValue, float64(s.stats.Retried)},
		} {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value, s.name)
		}
		for reason, n := range s.stats.Skipped {
			ch <- prometheus.MustNewConstMetric(uploadSkipped, prometheus.CounterValue, float64(n), s.name, strings.ToValidUTF8(reason, "_"))
		}
	}
}
