package statsd

import (
	"maps"
	"strings"
	"testing"
	"time"

	plain "github.com/cactus/go-statsd-client/v5/statsd"
	gocmp "github.com/google/go-cmp/cmp"

	"scriptbridge/config"
)

// A plain client, with the dialects of tags that it knows, buffered and not.
func TestPlainClient(t *testing.T) {
	r := receiverAt(t, &config.ReceiveStatsD{UDP: "127.0.0.1:0"})
	for name, c := range map[string]plain.ClientConfig{
		"plain":    {},
		"buffered": {UseBuffered: true},
		"influx":   {TagFormat: plain.InfixComma},
		"datadog":  {TagFormat: plain.SuffixOctothorpe, UseBuffered: true},
	} {
		t.Run(name, func(t *testing.T) {
			c.Address, c.Prefix = r.Address(t, "udp"), name
			client, err := plain.NewClientWithConfig(&c)
			if err != nil {
				t.Fatal(err)
			}
			client.(*plain.Client).SetSamplerFunc(func(float32) bool { return true }) // chance has no place here
			var tags []plain.Tag
			labels := "{}"
			if c.TagFormat != 0 {
				tags, labels = []plain.Tag{{"kind", "web"}, {"env", "prod"}}, "{env=prod,kind=web}"
			}
			for i := range int64(50) {
				client.Inc("orders", 2, 0.5, tags...)
				client.Gauge("queue", i, 1, tags...)
				client.GaugeDelta("level", 3, 1, tags...)
				client.GaugeDelta("level", -2, 1, tags...)
				client.Timing("latency", i, 0.25, tags...)
				client.TimingDuration("lag", time.Duration(i)*time.Microsecond, 1, tags...)
				client.Set("users", []string{"ann", "bob"}[i%2], 1, tags...)
			}
			if err := client.Close(); err != nil {
				t.Error(err)
			}
			want := map[string]float64{
				name + "_orders" + labels: 200, name + "_queue" + labels: 49, name + "_level" + labels: 50,
				name + "_latency" + labels: 200, name + "_lag" + labels: 50, name + "_users" + labels: 2,
			}
			// The last member of a set may be put after all else, and once more.
			r.Poll(t, "all that was told", func() bool {
				got := r.State()
				maps.DeleteFunc(got, func(series string, _ float64) bool { return !strings.HasPrefix(series, name+"_") })
				return gocmp.Equal(want, got)
			})
		})
	}
}
