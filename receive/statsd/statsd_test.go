package statsd

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/internal/errno"
	"scriptbridge/internal/testkit/cases"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// receiverAt is a receiver that listens there, and puts what comes at once: how
// often it does is for tests with a clock of their own.
func receiverAt(t *testing.T, c *config.ReceiveStatsD) *running {
	t.Helper()
	if c.TTL == 0 {
		c.TTL = time.Minute
	}
	hasty := Type
	hasty.New = func(c *config.Receive, env receiver.Env) (receiver.Receiver, error) {
		made, err := newReceiver(c, env)
		if err != nil {
			return nil, err
		}
		made.(*statsd).every = 10 * time.Millisecond
		return made, nil
	}
	return run(t, hasty, &config.Receive{StatsD: c}, nil)
}

// Lines of a connection: cut anywhere, ended by CRLF, too long, and the last
// without an end.
func TestConnection(t *testing.T) {
	r := receiverAt(t, &config.ReceiveStatsD{TCP: "127.0.0.1:0"})
	c := receivertest.Dial(t, "tcp", r.Address(t, "tcp"))
	for _, piece := range []string{
		"a:1|", "c\r\nb:2", "|c\n", "c:1|c|#" + strings.Repeat("x", maxLine), strings.Repeat("y", 3*maxLine), ":z\nd:", "4|c\ne:5|c",
	} {
		io.WriteString(c, piece)
	}
	c.Close()
	want := map[string]float64{"a{}": 1, "b{}": 2, "d{}": 4, "e{}": 5}
	r.Poll(t, "the lines", func() bool { return cmp.Equal(want, r.State()) })
	r.Poll(t, "the long line to be refused", func() bool {
		return cmp.Equal([]string{"too_long"}, r.Refused())
	})
}

// What a browser sends for a page of another site is no connection of a client's,
// however it is cut and however long its first line is.
func TestBrowser(t *testing.T) {
	r := receiverAt(t, &config.ReceiveStatsD{TCP: "127.0.0.1:0"})
	for i, request := range [][]string{
		{"POST / HTTP/1.1\r\nHost: 127.0.0.1:8125\r\nContent-Length: 8\r\n\r\nevil:1|c\n"},
		{"PO", "ST / HT", "TP/1.1\r", "\nevil:1|c\n", "evil:1|c\n"},
		{"GET /?x HTTP/1.0\nevil:1|c\n"},
		{"POST /" + strings.Repeat("x", 2*maxLine), strings.Repeat("x", maxLine) + " HTTP/1.1\r\n\r\nevil:1|c\n"},
	} {
		c := receivertest.Dial(t, "tcp", r.Address(t, "tcp"))
		for _, piece := range request {
			io.WriteString(c, piece)
		}
		if _, err := io.Copy(io.Discard, c); err != nil && !errno.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		r.Poll(t, "its count", func() bool { return r.Counts.View().Dropped[receiver.Forbidden] == uint64(i+1) })
	}
	c := receivertest.Dial(t, "tcp", r.Address(t, "tcp"))
	io.WriteString(c, "GET /page:1|c\nPOST / HTTP/1.1\ngood:2|c\n")
	r.Poll(t, "the good lines", func() bool { return r.State()["good{}"] == 2 })
	for name := range r.State() {
		if strings.Contains(name, "evil") {
			t.Errorf("%s is taken", name)
		}
	}
}

// One connection too many is closed, the others go on.
func TestConnections(t *testing.T) {
	r := receiverAt(t, &config.ReceiveStatsD{TCP: "127.0.0.1:0"})
	var conns []net.Conn
	for range maxConns {
		conns = append(conns, receivertest.Dial(t, "tcp", r.Address(t, "tcp")))
		io.WriteString(conns[len(conns)-1], "a:1|c\n")
	}
	r.Poll(t, "all connections", func() bool { return r.State()["a{}"] == maxConns })
	extra := receivertest.Dial(t, "tcp", r.Address(t, "tcp"))
	if _, err := extra.Read(make([]byte, 1)); err == nil {
		t.Error("one too many is served")
	}
	r.Poll(t, "its count", func() bool { return r.Counts.View().Dropped["connections"] == 1 })
	io.WriteString(conns[0], "a:1|c\n")
	r.Poll(t, "the first connection", func() bool { return r.State()["a{}"] == maxConns+1 })
	conns[0].Close()
	r.Poll(t, "a free place", func() bool {
		c := receivertest.Dial(t, "tcp", r.Address(t, "tcp"))
		defer c.Close()
		io.WriteString(c, "b:1|c\n")
		c.(*net.TCPConn).CloseWrite()
		_, err := c.Read(make([]byte, 1))
		return err == io.EOF && r.State()["b{}"] > 0
	})
}

// Where there are too many connections, the one that has been silent for the longest time
// gives way to the next, if that is long.
func TestSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := &conns{most: 2, open: make(map[net.Conn]time.Time)}
		var all [5]net.Conn
		for i := range all {
			all[i], _ = net.Pipe()
		}
		add := func(i int, want net.Conn) {
			t.Helper()
			if shut := open.add(all[i]); shut != want {
				t.Errorf("connection %d: another one is closed than should be", i)
			}
		}
		add(0, nil)
		time.Sleep(time.Second)
		add(1, nil)
		time.Sleep(silentTime - time.Second - 1)
		add(2, all[2])
		time.Sleep(time.Nanosecond)
		add(2, all[0])
		open.remove(all[0]) // its reader has seen that it is closed
		time.Sleep(time.Second)
		if !open.extend(all[1]) { // it is silent no more
			t.Error("the second connection is to end")
		}
		add(3, all[3])
		time.Sleep(silentTime - time.Second)
		add(3, all[2])
		open.remove(all[2])
		open.remove(all[1])
		open.remove(all[3])
		open.close()
		add(4, all[4])
	})
}

// A port that is taken is an error that names it, and nothing stays open.
func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	c := &config.ReceiveStatsD{UDP: free.LocalAddr().String(), TCP: taken.Addr().String()}
	s, err := newReceiver(&config.Receive{StatsD: c}, receiver.Env{Source: testSource, Counts: new(receiver.Counts)})
	if err != nil {
		t.Fatal(err)
	}
	_, inUse := net.Listen("tcp", taken.Addr().String())
	want := fmt.Sprintf("statsd tcp: %v", inUse)
	if err := s.Run(t.Context()); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	again, err := net.ListenPacket("udp", c.UDP)
	if err != nil {
		t.Errorf("the other port stayed open: %v", err)
	} else {
		again.Close()
	}
}

// What comes is put once a second, and only when something came.
func TestPutsOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var puts []string
		sink := record.Tee{sinkFunc(func(b *record.Batch) {
			if b.Declared != nil {
				puts = append(puts, fmt.Sprintf("%v: declared %s", time.Since(began), b.Declared.Events[0].Name))
				return
			}
			puts = append(puts, fmt.Sprintf("%v: %d of %v", time.Since(began), len(b.Samples), b.Samples[0].Value))
		})}
		made, err := newReceiver(&config.Receive{StatsD: &config.ReceiveStatsD{TTL: time.Minute}},
			receiver.Env{Source: testSource, Sink: sink, Logger: log.NewNopLogger(), Counts: new(receiver.Counts), Opened: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		s := made.(*statsd)
		ended := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- s.Run(ctx) }()
		for range 25 {
			<-time.After(90 * time.Millisecond)
			s.merge.packet([]byte("a:1|c\n"), time.Now())
		}
		<-time.After(5250 * time.Millisecond)
		s.merge.packet([]byte("b:7|g"), time.Now())
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []string{"0s: declared StatsD event", "1s: 1 of 11", "2s: 1 of 11", "3s: 1 of 3", "7.5s: 1 of 7"}
		if diff := cmp.Diff(want, puts); diff != "" {
			t.Errorf("puts (-want +got):\n%s", diff)
		}
	})
}

// A counter that is mentioned again within its time to live goes on, however the
// two lie to the times at which all is put.
func TestMentionedAgain(t *testing.T) {
	for _, c := range []struct {
		first, second time.Duration
		want          string
	}{
		{100 * time.Millisecond, 2950 * time.Millisecond, "a 2\n"},
		{990 * time.Millisecond, 3980 * time.Millisecond, "a 2\n"},
		{10 * time.Millisecond, 3005 * time.Millisecond, "a 2\n"},
		{100 * time.Millisecond, 5950 * time.Millisecond, "a 1\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			page := collector.New(collector.Options{Registry: prometheus.NewRegistry()})
			made, err := newReceiver(&config.Receive{StatsD: &config.ReceiveStatsD{TTL: 3 * time.Second}},
				receiver.Env{Source: testSource, Sink: page, Logger: log.NewNopLogger(), Counts: new(receiver.Counts), Opened: func() {}})
			if err != nil {
				t.Fatal(err)
			}
			s := made.(*statsd)
			ended := make(chan error)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { ended <- s.Run(ctx) }()
			<-time.After(c.first)
			s.merge.packet([]byte("a:1|c"), time.Now())
			<-time.After(c.second - c.first)
			s.merge.packet([]byte("a:1|c"), time.Now())
			<-time.After(time.Second)
			var out strings.Builder
			if err := page.WritePage(&out, expfmt.NewFormat(expfmt.TypeTextPlain), func(family string) bool { return family == "a" }); err != nil {
				t.Error(err)
			}
			if !strings.HasSuffix(out.String(), "\n"+c.want) {
				t.Errorf("mentioned after %v and %v:\n%s", c.first, c.second, &out)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// A gauge is remembered for as long as the page shows it.
func TestRelativeGauge(t *testing.T) {
	m := mergeOf(t, "")
	now := epoch
	step := func(after time.Duration, packet, want string) {
		t.Helper()
		now = now.Add(after)
		m.packet([]byte(packet), now)
		if got := describe(m.flush(now), m.counts); got != want {
			t.Errorf("%s after %v: got %q, want %q", packet, after, got, want)
		}
	}
	step(0, "a:10|g", "set a 10\n")
	step(time.Second, "a:+5|g", "set a 15\n")
	step(4*time.Minute, "a:-1|g", "set a 14\n")
	step(0, "", "")
	step(5*time.Minute, "a:+1|g", "set a 1\n")
	step(time.Hour, "b:1|g", "set b 1\n")
	if m.series.used != 1 || m.targets.used != 1 {
		t.Errorf("%d series and %d heads are kept", m.series.used, m.targets.used)
	}
	step(0, "a:+2|g", "set a 2\n")
}

// A clock that is set back makes no value late but one that tells an older time
// itself.
func TestClockSetBack(t *testing.T) {
	m := mergeOf(t, "")
	for _, c := range []struct {
		at   time.Duration
		line string
		want string
	}{
		{0, "a:1|g", "set a 1\n"},
		{-time.Hour, "a:2|g", "set a 2\n"},
		{-time.Hour, fmt.Sprintf("a:3|g|T%d", epoch.Unix()), "set a 3\n"}, // ahead, and so of now
		{-time.Hour, fmt.Sprintf("a:4|g|T%d", epoch.Add(-2*time.Hour).Unix()), ""},
	} {
		now := epoch.Add(c.at)
		m.packet([]byte(c.line), now)
		if got := describe(m.flush(now), m.counts); got != c.want {
			t.Errorf("%s: got %q, want %q", c.line, got, c.want)
		}
	}
}

// A set is what was seen in the last minute: it shrinks by itself, and its
// gauge says so.
func TestSetWindow(t *testing.T) {
	m := mergeOf(t, "")
	var got []string
	for second := range 130 {
		now := epoch.Add(time.Duration(second) * time.Second)
		switch second {
		case 0:
			m.packet([]byte("u:ann|s\nu:bob|s\nv:x|s"), now)
		case 30:
			m.packet([]byte("u:ann|s\nu:a:b|s"), now)
		}
		for _, b := range m.flush(now) {
			for _, s := range b.Samples {
				got = append(got, fmt.Sprintf("%d %s %v", second, s.Name, s.Value))
			}
		}
	}
	want := []string{"0 u 2", "0 v 1", "30 u 3", "60 u 2", "60 v 0", "90 u 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if m.members != 0 || len(m.active) != 0 {
		t.Errorf("%d members and %d sets are kept", m.members, len(m.active))
	}
}

// A set with very many members is right to some per cent, in bounded memory,
// and exact again when it has shrunk.
func TestLargeSet(t *testing.T) {
	m := mergeOf(t, "")
	now := epoch
	for i := range 300_000 {
		m.packet(fmt.Appendf(nil, "u:%d|s", i), now)
		if m.members > 2*maxMembers+1 {
			t.Fatalf("%d members are kept after %d", m.members, i)
		}
	}
	if got := m.flush(now)[0].Samples[0].Value; math.Abs(got/300_000-1) > 0.1 {
		t.Errorf("%v members instead of 300 000", got)
	}
	last := 0.0
	for range 150 {
		now = now.Add(time.Second)
		m.packet([]byte("u:a|s\nu:b|s\nu:c|s"), now)
		last = m.flush(now)[0].Samples[0].Value
	}
	if last != 3 {
		t.Errorf("%v members instead of 3", last)
	}
}

// However many sets there are, the members of all are bounded.
func TestManySets(t *testing.T) {
	m := mergeOf(t, "")
	m.limit = 1000
	for set := range 1000 {
		for i := range 1000 {
			m.packet(fmt.Appendf(nil, "u%d:%d|s", set, i), epoch)
		}
	}
	if most := 2 * (maxMembersAll + 1000*minMembers); m.members > most {
		t.Errorf("%d members are kept, more than %d", m.members, most)
	}
	kept := 0
	for se := range m.series.all() {
		kept += se.members.size()
	}
	if kept != m.members {
		t.Errorf("%d members are counted, %d kept", m.members, kept)
	}
}

// Distinct values of a timer: count and sum are exact, quantiles nearly, and
// the number of samples is bounded.
func TestManyValues(t *testing.T) {
	m := mergeOf(t, "mappings:\n- {match: h, name: h, observer_type: histogram, histogram_options: {buckets: [0.1, 50.5, 99.99]}}\n")
	sum := 0.0
	below := [3]float64{}
	for i := range 100_000 {
		v := float64(i%99_991) / 1000
		sum += v
		for b, bound := range []float64{0.1, 50.5, 99.99} {
			if v <= bound {
				below[b]++
			}
		}
		m.packet(fmt.Appendf(nil, "t:%v|ms\nh:%v|h", v*1000, v), epoch)
	}
	samples := m.flush(epoch)[0].Samples
	weights, sums, got, last := map[string]float64{}, map[string]float64{}, [3]float64{}, -1.0
	median := 0.0
	for _, s := range samples {
		weights[s.Name] += s.Weight
		sums[s.Name] += s.Weight * s.Value
		if s.Name == "h" {
			for b, bound := range s.Meta.More().Buckets {
				if s.Value <= bound {
					got[b] += s.Weight
				}
			}
			continue
		}
		if s.Value <= last {
			t.Fatalf("%v after %v", s.Value, last)
		}
		last = s.Value
		if weights["t"] <= 50_000 {
			median = s.Value
		}
	}
	if len(samples) > 2*maxPoints || weights["t"] != 100_000 || weights["h"] != 100_000 {
		t.Errorf("%d samples, weights %v", len(samples), weights)
	}
	for name, got := range sums {
		if math.Abs(got/sum-1) > 1e-9 {
			t.Errorf("the sum of %s is %v instead of %v", name, got, sum)
		}
	}
	if got != below {
		t.Errorf("buckets %v, want %v", got, below)
	}
	if math.Abs(median/50-1) > 0.02 {
		t.Errorf("the median is %v", median)
	}
	if m.points != 0 {
		t.Errorf("%d points are counted after the flush", m.points)
	}
}

// However many timers there are, the values of all are bounded.
func TestManyTimers(t *testing.T) {
	m := mergeOf(t, "")
	m.limit = 2000
	for series := range 2000 {
		for i := range 600 {
			m.packet(fmt.Appendf(nil, "t%d:%d|ms", series, i+1), epoch)
		}
	}
	n := 0
	for _, b := range m.flush(epoch) {
		n += len(b.Samples)
	}
	if most := maxPointsAll + 2000*minPoints; n > most || n < 2000 {
		t.Errorf("%d samples, more than %d", n, most)
	}
}

// Equal values at a histogram's bound stay at it, however they are merged.
func TestPointsAtABound(t *testing.T) {
	var p observations
	for i := range 10_000 {
		p.add(0.1, 0.3, []float64{0.1, 0.2}, false, new(spares))
		p.add(0.1+float64(i)*1e-6, 1, []float64{0.1, 0.2}, false, new(spares))
		p.add(-0.1*float64(i), 1, []float64{0.1, 0.2}, false, new(spares))
	}
	for _, n := range p.list {
		if n.bucket == 0 && n.value > 0.1 || n.bucket == 1 && (n.value <= 0.1 || n.value > 0.2) || n.bucket == 2 {
			t.Errorf("%v with weight %v is in bucket %d", n.value, n.weight, n.bucket)
		}
	}
	if len(p.list) > maxPoints || p.level == 0 {
		t.Errorf("%d points at level %d", len(p.list), p.level)
	}
}

// What finds no place is counted, and has one again when others are gone.
func TestMaxSeries(t *testing.T) {
	m := mergeOf(t, "")
	m.limit = 3
	m.packet([]byte("a:1|c\nb:1|c\nc:1|c\nd:1:2|c\na:1|c\nd:x|s"), epoch)
	want := "add a 2\nadd b 1\nadd c 1\ndropped 3: max_series\n"
	if got := describe(m.flush(epoch), m.counts); got != want {
		t.Errorf("got %s", got)
	}
	later := epoch.Add(5 * time.Minute)
	m.packet([]byte("a:1|c"), epoch.Add(time.Minute))
	m.flush(later)
	m.packet([]byte("d:1|c\ne:1|c\nf:1|c"), later)
	want = "add d 1\nadd e 1\ndropped 4: max_series\n"
	if got := describe(m.flush(later), m.counts); got != want {
		t.Errorf("later: got %s", got)
	}
}

// Names that are made up cost no memory beyond the bounds.
func TestMadeUpNames(t *testing.T) {
	m := mergeOf(t, "mappings:\n- {match: ., match_type: regex, action: drop, name: x}\n")
	m.limit = 10
	most := 0
	for i := range 200_000 {
		m.packet(fmt.Appendf(nil, "name.that.nobody.has.used.before.%d:1|c", i), epoch)
		most = max(most, m.targets.used)
	}
	if most > headsBase+10*headsPerSeries || most == 200_000 {
		t.Errorf("%d heads were kept", most)
	}
	if n := m.dropped["mapping"]; n != 200_000 {
		t.Errorf("%d are counted", n)
	}
	m.packet([]byte(strings.Repeat("x", maxHead)+":1|c"), epoch)
	if m.faulty["too_long"] != 1 {
		t.Errorf("faults %v", m.faulty)
	}
}

// A mapping file with a fault is refused whole, and all faults are told, each in
// a line of its own, with its place and a remedy. The cases are
// testdata/mapping-errors.
func TestMappingErrors(t *testing.T) {
	cases.Run(t, "testdata/mapping-errors", func(t *testing.T, a *txtar.Archive, _ string) string {
		_, err := parseMapping("mapping.yml", cases.Part(a, "mapping.yml"), time.Minute)
		if err == nil {
			return "taken\n"
		}
		for line := range strings.Lines(err.Error()) {
			if !regexp.MustCompile(`^mapping.yml:\d+:(\d+:)? `).MatchString(line) {
				t.Errorf("it has no line: %s", line)
			}
		}
		return err.Error() + "\n"
	}, "want")
}

func TestMappingMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mapping.yml")
	_, err := loadMapping(path, time.Minute)
	if want := "mapping_config: " + path + ": there is no such file (correct the path, or make the file)"; err == nil || err.Error() != want {
		t.Errorf("a missing file: %v", err)
	}
}
