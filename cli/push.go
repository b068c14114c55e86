package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"scriptbridge/coscale"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/texts"
)

// pushFlags are those of push.
type pushFlags struct {
	api            apiFlags
	destination    destinationFlags
	data           []string
	unit, dataType string
	period         time.Duration
}

// Push adds push to app.
func Push(app *kingpin.Application, hints Hints) Command {
	f := new(pushFlags)
	cmd := app.Command("push", "Send points to a CoScale API, or by remote write, in the syntax of coscale-cli's data insert.")
	cmd.Flag("data", "Points, as METRIC:SUBJECT:TIME:VALUE[:DIMENSIONS], with semicolons between them; repeatable. By default they are read from standard input.").StringsVar(&f.data)
	cmd.Flag("unit", "The unit of metrics that are created.").StringVar(&f.unit)
	cmd.Flag("data-type", "The data type of metrics that are created: DOUBLE, COUNTER… By default HISTOGRAM if the value is a histogram, otherwise DOUBLE.").StringVar(&f.dataType)
	cmd.Flag("period", "The period of metrics that are created.").Default("60s").DurationVar(&f.period)
	f.api.register(cmd)
	f.destination.register(cmd, hints)
	return Command{Name: "push", Run: func(ctx context.Context, e *Env) error { return push(ctx, f, e) }}
}

// sourceName is what objects say that made them.
const sourceName = "scriptbridge"

// maxPush bounds the text of the points that go into one call. As JSON they
// are longer, and still far below what a call may hold (8 MiB).
const maxPush = 1 << 20

// push sends points. A point that cannot be read or sent is told on stderr and costs no
// other one; the error is then ErrAlreadyPrinted.
func push(ctx context.Context, f *pushFlags, e *Env) error {
	text, err := f.points(ctx, e.Stdin)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	p := &pusher{f: f, stderr: e.Stderr, ids: make(map[string]answer)}
	if f.destination.upload == "" {
		if p.client, err = f.api.client(); err != nil {
			return fmt.Errorf("push: %w", err)
		}
		return p.push(ctx, text)
	}
	if strings.EqualFold(f.dataType, "COUNT") {
		return errors.New("push: a COUNT is added up by a bridge that goes on; with --upload give --data-type=COUNTER, and the sum as the value")
	}
	to, err := f.destination.open(e)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	p.client = to.client
	failed := p.push(ctx, text)
	err = errors.Join(to.deliver(ctx), to.close())
	var waiting *waitingError
	if errors.As(err, &waiting) && err.Error() == waiting.Error() { // nothing else
		fmt.Fprintln(e.Stderr, "scriptbridge: push:", waiting)
		err = nil
	}
	if err != nil {
		fmt.Fprintln(e.Stderr, "scriptbridge: push:", texts.OneLine(err.Error()))
		return ErrAlreadyPrinted
	}
	return failed
}

// points are the text of what is to be sent.
func (f *pushFlags) points(ctx context.Context, stdin io.Reader) (string, error) {
	if len(f.data) > 0 {
		return strings.Join(f.data, "\n"), nil
	}
	all, err := fsx.Do(ctx, func() ([]byte, error) { return io.ReadAll(stdin) })
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	return string(all), nil
}

// push has all points of a text sent to the client's API.
func (p *pusher) push(ctx context.Context, text string) error {
	points, bad := coscale.ParsePoints(text)
	if len(points) == 0 && bad == nil {
		return errors.New("push: there is no point; write METRIC:SUBJECT:TIME:VALUE into --data or on standard input")
	}
	if bad != nil {
		for line := range strings.Lines(bad.Error()) {
			p.leaveOut(1, "%s", strings.TrimSuffix(line, "\n"))
		}
	}
	for len(points) > 0 {
		n, size := 0, 0
		for n < len(points) && (n == 0 || size+len(points[n].Text) <= maxPush) {
			size += len(points[n].Text)
			n++
		}
		p.send(ctx, points[:n])
		points = points[n:]
	}
	if p.out > 0 {
		fmt.Fprintf(p.stderr, "scriptbridge: push: %d sent, %d left out\n", p.sent, p.out)
		return ErrAlreadyPrinted
	}
	return nil
}

// pusher is one run of push.
type pusher struct {
	f         *pushFlags
	client    *coscale.Client
	stderr    io.Writer
	ids       map[string]answer // of names and ids that were asked for
	down      error             // why the server cannot be asked at all
	sent, out int
}

// answer is an id, or why there is none.
type answer struct {
	id  int64
	err error
}

func (p *pusher) leaveOut(n int, format string, args ...any) {
	p.out += n
	fmt.Fprintf(p.stderr, "scriptbridge: push: "+format+"\n", args...)
}

// send sends points in one call, or in one for each series where the server
// refuses them together.
func (p *pusher) send(ctx context.Context, points []coscale.TextPoint) {
	var data []coscale.Data
	at := make(map[string]int)
	before := p.out
	for _, point := range points {
		d, err := p.resolve(ctx, point)
		if p.down != nil { // said once, and not waited for again
			n := len(points) - (p.out - before)
			p.leaveOut(n, "%s: %v", texts.Count(n, "point"), p.down)
			return
		}
		if err != nil {
			p.leaveOut(1, "%s: %v", point.Text, err)
			continue
		}
		key := fmt.Sprintf("%d %s %q", d.Metric, d.Subject, d.Dimensions)
		i, ok := at[key]
		if !ok {
			i = len(data)
			at[key] = i
			data = append(data, d)
		}
		data[i].Points = append(data[i].Points, point.Point)
	}
	if len(data) == 0 {
		return
	}
	err := p.client.InsertData(ctx, data)
	if len(data) == 1 || !isRefusal(err) {
		p.count(err, data...)
		return
	}
	for _, d := range data {
		p.count(p.client.InsertData(ctx, []coscale.Data{d}), d)
	}
}

// isRefusal says whether the server found fault with what was sent.
func isRefusal(err error) bool {
	status, ok := errors.AsType[*coscale.StatusError](err)
	return ok && !status.Login && status.Status >= 400 && status.Status < 500 &&
		status.Status != http.StatusUnauthorized && status.Status != http.StatusTooManyRequests
}

func (p *pusher) count(err error, data ...coscale.Data) {
	n := 0
	for _, d := range data {
		n += len(d.Points)
	}
	what := ""
	if len(data) == 1 {
		what = fmt.Sprintf("M%d:%s", data[0].Metric, data[0].Subject)
	}
	var refused *coscale.RefusedError
	switch {
	case err == nil:
		p.sent += n
	case errors.As(err, &refused):
		p.sent += max(0, n-refused.Refused)
		if what != "" {
			what += ": "
		}
		p.leaveOut(refused.Refused, "%s%v", what, err)
	default:
		if what != "" {
			what += ", "
		}
		p.leaveOut(n, "%s%s: %v", what, texts.Count(n, "point"), err)
	}
}

// resolve turns names into ids. What has a name that no server knows is made,
// and an id must be known: a server may store nothing for one that is not, and
// say nothing of it.
func (p *pusher) resolve(ctx context.Context, point coscale.TextPoint) (d coscale.Data, err error) {
	d.Metric, d.Dimensions = point.Metric.ID, point.Dimensions
	if point.Metric.Name == "" { // before anything is made for it
		if err := p.known(ctx, "metric", coscale.Metrics, d.Metric); err != nil {
			return d, err
		}
	}
	subject := point.Subject.ID
	switch name := point.Subject.Name; {
	case name != "":
		subject, err = p.id(coscale.Servers, name, func() (int64, error) { return makeServer(ctx, p.client, name) })
		if err != nil {
			return d, fmt.Errorf("server %q: %w", name, err)
		}
	case point.Kind == coscale.Servers:
		err = p.known(ctx, "server", coscale.Servers, subject)
	case point.Kind == coscale.ServerGroups:
		err = p.known(ctx, "server group", coscale.ServerGroups, subject)
	}
	if err != nil {
		return d, err
	}
	d.Subject = coscale.SubjectOf(point.Kind, subject)
	name := point.Metric.Name
	if name == "" {
		return d, nil
	}
	d.Metric, err = p.id(coscale.Metrics, name, func() (int64, error) {
		return p.client.Create(ctx, coscale.Metrics, p.metric(point))
	})
	if err != nil {
		return d, fmt.Errorf("metric %q: %w", name, err)
	}
	for _, dimension := range slices.Sorted(maps.Keys(point.Dimensions)) {
		_, err := p.id(coscale.Dimensions, fmt.Sprintf("%d %s", d.Metric, dimension), func() (int64, error) {
			id, err := p.client.Create(ctx, coscale.Dimensions, &coscale.Dimension{Name: dimension})
			if err != nil {
				return 0, err
			}
			return id, p.client.Link(ctx, coscale.Metrics, d.Metric, coscale.Dimensions, id)
		})
		if err != nil {
			return d, fmt.Errorf("dimension %q: %w", dimension, err)
		}
	}
	return d, nil
}

// known says why there is no object of an id.
func (p *pusher) known(ctx context.Context, noun string, kind coscale.Kind, id int64) error {
	_, err := p.id(kind+" by id", strconv.FormatInt(id, 10), func() (int64, error) { return id, p.client.Get(ctx, kind, id) })
	if err != nil {
		return fmt.Errorf("%s %d: %w", noun, id, err)
	}
	return nil
}

// id asks for what is not known yet, once.
func (p *pusher) id(kind coscale.Kind, name string, ask func() (int64, error)) (int64, error) {
	if p.down != nil {
		return 0, p.down
	}
	key := string(kind) + " " + name
	a, ok := p.ids[key]
	if !ok {
		a.id, a.err = ask()
		p.ids[key] = a
	}
	if a.err != nil && !isRefusal(a.err) {
		p.down = a.err
	}
	return a.id, a.err
}

// metric is what a name becomes that no server knows.
func (p *pusher) metric(point coscale.TextPoint) *coscale.Metric {
	m := &coscale.Metric{
		Object: coscale.Object{Name: point.Metric.Name}, Unit: p.f.unit, Period: int64(p.f.period / time.Second),
		Source: sourceName, DataType: p.f.dataType, Subject: "APPLICATION",
	}
	switch {
	case m.DataType != "":
	case point.Point.Histogram != nil:
		m.DataType = "HISTOGRAM"
	default:
		m.DataType = "DOUBLE"
	}
	switch point.Kind {
	case coscale.Servers:
		m.Subject = "SERVER"
	case coscale.ServerGroups:
		m.Subject = "GROUP"
	}
	return m
}

func makeServer(ctx context.Context, client *coscale.Client, name string) (int64, error) {
	return client.Create(ctx, coscale.Servers, &coscale.Server{Object: coscale.Object{Name: name}, Source: sourceName})
}
