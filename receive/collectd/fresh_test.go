package collectd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/receive/receivertest"
)

// A signed or encrypted packet counts if it is of now and was not there before;
// whoever records some cannot have old values shown by sending them again.
func TestSecuredPackets(t *testing.T) {
	const day = 24 * time.Hour
	type sent struct {
		after time.Duration // since the packet before
		at    time.Duration // its time, from now
		want  string        // "" : it is taken
		text  string        // instead of values
	}
	values := func(time string) string {
		return "host h\nplugin p\ntype percent\ninterval 10\n" + time + "values gauge:1"
	}
	for _, c := range []struct {
		name  string
		ttl   time.Duration
		level securityLevel
		sent  []sent
	}{
		{"of now, one after the other", 0, levelSign, []sent{{}, {after: 10 * time.Second}, {after: 10 * time.Second}}},
		{"a day old, as the finder of a recording sends it", 0, levelSign, []sent{{at: -day, want: tooOld}}},
		{"a day old, where plain packets are taken too", 0, levelNone, []sent{{at: -day, want: tooOld}}},
		{"a day ahead", 0, levelSign, []sent{{at: day, want: tooNew}}},
		{"within five minutes", 0, levelSign, []sent{{at: -299 * time.Second}, {at: 299 * time.Second}}},
		{"beyond five minutes", 0, levelSign, []sent{{at: -302 * time.Second, want: tooOld}, {at: 302 * time.Second, want: tooNew}}},
		{"older than the ttl", time.Minute, levelSign, []sent{{at: -59 * time.Second}, {at: -62 * time.Second, want: tooOld}, {at: 62 * time.Second, want: tooNew}}},
		{"within a long ttl", day, levelSign, []sent{{at: -23 * time.Hour}}},
		{"the same again", 0, levelSign, []sent{{}, {after: time.Second, at: -time.Second, want: replayed}}},
		{"one before the last", 0, levelSign, []sent{{}, {after: 10 * time.Second}, {after: time.Second, at: -11 * time.Second, want: replayed}}},
		{"again when its series has ended", 0, levelSign, []sent{{}, {after: time.Minute, at: -time.Minute, want: replayed}}},
		{"again when its series is forgotten", 0, levelSign, []sent{{}, {after: 6 * time.Minute, at: -6 * time.Minute, want: tooOld}}},
		{"of a clock that is ahead, again when it could be new", 0, levelSign,
			[]sent{{at: 4 * time.Minute}, {after: 5 * time.Minute, at: -time.Minute, want: replayed}, {after: 5 * time.Minute, at: -6 * time.Minute, want: tooOld}}},
		{"with a long ttl, again much later", day, levelSign, []sent{{}, {after: 20 * time.Hour, at: -20 * time.Hour, want: replayed}}},
		{"without a time, which a recording could have too", 0, levelSign, []sent{{text: values(""), want: tooOld}}},
		{"without a time, where plain packets are taken too", 0, levelNone, []sent{{text: values("")}, {text: values("")}}},
		{"a notification that is old", 0, levelSign, []sent{{at: -day, text: "host h\nTIME\nseverity 4\nmessage all is well", want: tooOld}}},
		{"a notification again, after another", 0, levelSign, []sent{
			{text: "host h\nTIME\nseverity 4\nmessage well"},
			{after: 10 * time.Second, text: "host h\nTIME\nseverity 1\nmessage broken"},
			{after: time.Second, at: -11 * time.Second, text: "host h\nTIME\nseverity 4\nmessage well", want: replayed},
			{after: 10 * time.Second, text: "host h\nTIME\nseverity 4\nmessage well"},
		}},
	} {
		for _, secure := range []string{"sign a x", "encrypt a x"} {
			t.Run(c.name+", "+strings.Fields(secure)[0], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := testMerge(t, c.ttl)
					m.timed = c.level > levelNone
					reader := packetReader{users: users{"a": "x"}, least: c.level}
					for i, one := range c.sent {
						time.Sleep(one.after) // in the bubble
						m.drain(time.Now())
						before := fmt.Sprint(m.counts.View().Dropped)
						stamp := fmt.Sprintf("time %d", time.Now().Add(one.at).Unix())
						text := strings.Replace(one.text, "TIME", stamp, 1)
						if text == "" {
							text = values(stamp + "\n")
						}
						reader.read(receivertest.CollectdPacket(t, secure+"\n"+text), m)
						batches, _ := m.drain(time.Now())
						taken := false
						for _, b := range batches {
							taken = taken || len(b.Samples)+len(b.Events) > 0
						}
						if taken != (one.want == "") {
							t.Errorf("packet %d is taken: %v", i, taken)
						}
						dropped := m.counts.View().Dropped
						if one.want == "" && fmt.Sprint(dropped) != before || one.want != "" && dropped[one.want] == 0 {
							t.Errorf("packet %d is counted as %v, not as %q", i, dropped, one.want)
						}
					}
				})
			})
		}
	}
}

// A plain packet may be as old as it likes: anybody could have sent it anyway.
func TestPlainPacketsOfAnyTime(t *testing.T) {
	m := testMerge(t, 0)
	(&packetReader{}).read(receivertest.CollectdPacket(t, "host h\nplugin p\ntype percent\ntime 1\nvalues gauge:1"), m)
	if batches, _ := m.drain(time.Now()); len(batches) != 1 || len(batches[0].Samples) != 1 {
		t.Errorf("%v", batches)
	}
}

// What is added up is not added twice.
func TestReplayAddsNothing(t *testing.T) {
	m := testMerge(t, 0)
	packet := receivertest.CollectdPacket(t, fmt.Sprintf("sign a x\nhost h\nplugin p\ntype total_requests\ntime %d\nvalues absolute:5", time.Now().Unix()))
	for range 3 {
		(&packetReader{users: users{"a": "x"}}).read(packet, m)
	}
	batches, warnings := m.drain(time.Now())
	if len(batches) != 1 || len(batches[0].Samples) != 1 || batches[0].Samples[0].Value != 5 {
		t.Errorf("%v", batches)
	}
	if n := m.counts.View().Dropped[replayed]; n != 2 {
		t.Errorf("%d are counted", n)
	}
	if got, want := fmt.Sprint(warnings[replayed].err), "h/p/total_requests: it is no later than what came before"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
