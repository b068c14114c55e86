package collectd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/panics"
	"scriptbridge/receive/receiver"
)

// This file asks a collectd for its values over the socket of its plugin
// unixsock, as CoScale's agent did: LISTVAL for what there is, GETVAL for each.
// What grows comes as a rate, since that is what GETVAL answers.

const (
	maxLine = 4096 // bytes of a line of an answer
	// maxListed is how many lines an answer to LISTVAL may have, and
	// maxSources one to GETVAL.
	maxListed  = 1 << 20
	maxSources = 1000
	// minPollTimeout is how long a poll may take at least.
	minPollTimeout = 5 * time.Second
)

// poll asks again and again until ctx ends. A poll that comes to nothing is
// the error of the next batch; it gives up its connection.
func (c *collectd) poll(ctx context.Context) {
	ticker := time.NewTicker(c.config.Interval)
	defer ticker.Stop()
	for {
		err := panics.Try(func() error { return c.pollOnce(ctx) })
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.merge.fail(fmt.Errorf("unixsock: %w", err))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// pollOnce connects, asks for all values, and hangs up: a connection that is
// kept would hold one of collectd's threads.
func (c *collectd) pollOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(c.config.Interval, minPollTimeout))
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.config.Unixsock)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	p := unixsockPoll{
		conn: conn, lines: bufio.NewReaderSize(conn, maxLine),
		interval: c.config.Interval, types: c.merge.types, consumer: c.merge, counts: c.env.Counts,
	}
	if err := p.all(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("it did not answer in time: %w", ctx.Err())
		}
		return err
	}
	return nil
}

// unixsockPoll is one poll.
type unixsockPoll struct {
	conn     io.Writer
	lines    *bufio.Reader
	interval time.Duration
	types    typesDB
	consumer consumer
	counts   *receiver.Counts
}

// all asks for every value. What cannot be read of a single one costs that
// one; an error ends the poll.
func (p *unixsockPoll) all() error {
	var found []listedValue
	err := p.ask("LISTVAL", maxListed, func(line string) {
		if one, err := parseListed(line); err != nil {
			p.consumer.reject(malformed, fmt.Errorf("LISTVAL: %w", err))
		} else {
			found = append(found, one)
		}
	})
	if err != nil {
		return err
	}
	for _, one := range found {
		l := valueList{key: one.key(), time: one.time, interval: p.interval}
		err := p.ask("GETVAL "+quote(one.String()), maxSources, func(line string) {
			name, value, err := parseValue(line)
			if err != nil {
				p.consumer.reject(malformed, fmt.Errorf("GETVAL of %s: %w", &one.identifier, err))
				return
			}
			l.names = append(l.names, name)
			l.values = append(l.values, dsValue{kind: dsGauge, value: value})
		})
		if errors.As(err, new(*refusal)) {
			continue // it is gone since LISTVAL
		}
		if err != nil {
			return err
		}
		p.consumer.list(&l)
	}
	return nil
}

// refusal is the answer of a collectd that cannot do what it is asked.
type refusal struct{ command, message string }

func (e *refusal) Error() string { return fmt.Sprintf("%s: %s", e.command, e.message) }

// ask sends a command and gives each line of its answer to take.
func (p *unixsockPoll) ask(command string, most int, take func(line string)) error {
	if _, err := io.WriteString(p.conn, command+"\n"); err != nil {
		return err
	}
	status, err := p.line()
	if err != nil {
		return err
	}
	n, message, err := parseStatus(status)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", command, err)
	case n < 0:
		return &refusal{command, message}
	case n > most:
		return fmt.Errorf("%s: an answer of %d lines is longer than %d", command, n, most)
	}
	for range n {
		line, err := p.line()
		if err != nil {
			return err
		}
		take(line)
	}
	return nil
}

// line reads one line, without its end.
func (p *unixsockPoll) line() (string, error) {
	line, err := p.lines.ReadSlice('\n')
	p.counts.Received("unixsock", 1, len(line))
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("a line is longer than %d bytes", maxLine)
	case errors.Is(err, io.EOF):
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// parseStatus reads the first line of an answer, such as
//
//	2 Values found
//
// whose number is that of the lines that follow, or below 0 for an error.
func parseStatus(line string) (n int, message string, err error) {
	number, message, _ := strings.Cut(line, " ")
	n, err = strconv.Atoi(number)
	if err != nil {
		return 0, "", fmt.Errorf("%.100q is no status of collectd's", line)
	}
	return n, message, nil
}

// listedValue is a line of the answer to LISTVAL.
type listedValue struct {
	identifier
	time time.Time // of the last value
}

// parseListed reads a line such as
//
//	1182204284.123 myhost/cpu-0/cpu-idle
func parseListed(line string) (listedValue, error) {
	at, name, _ := strings.Cut(line, " ")
	seconds, err := strconv.ParseFloat(at, 64)
	if err != nil {
		return listedValue{}, fmt.Errorf("%.100q is no line with a time and a name", line)
	}
	parts := strings.SplitN(name, "/", 3)
	if len(parts) < 3 {
		return listedValue{}, fmt.Errorf("%.100q is no name of the form host/plugin-instance/type-instance", name)
	}
	l := listedValue{time: unixFloat(seconds)}
	l.host = parts[0]
	l.plugin, l.pluginInstance, _ = strings.Cut(parts[1], "-")
	l.typ, l.typeInstance, _ = strings.Cut(parts[2], "-")
	return l, l.check()
}

// parseValue reads a line of the answer to GETVAL, such as
//
//	rx=1.260000e+00
func parseValue(line string) (name string, value float64, err error) {
	at := strings.LastIndexByte(line, '=')
	if at < 1 || len(line)-at > 100 {
		return "", 0, fmt.Errorf("%.100q is no line with a name and a value", line)
	}
	value, err = strconv.ParseFloat(line[at+1:], 64)
	if err != nil && !math.IsInf(value, 0) {
		return "", 0, fmt.Errorf("%.100q is no number", line[at+1:])
	}
	return line[:at], value, nil
}

// quote puts a name into quotation marks, as collectd's parser takes
// them.
func quote(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}
