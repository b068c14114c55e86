package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"scriptbridge/coscale"
	"scriptbridge/internal/texts"
	"scriptbridge/script/process"
)

// wrapFlags are those of wrap.
type wrapFlags struct {
	api                       apiFlags
	destination               destinationFlags
	category, message, server string
}

// Wrap adds wrap to app.
func Wrap(app *kingpin.Application, hints Hints) Command {
	f := new(wrapFlags)
	cmd := app.Command("wrap", "Run the command given after --, and report its start, end, exit code and duration to a CoScale API, or by remote write.")
	cmd.Flag("category", "The category of the event that reports the run.").Required().StringVar(&f.category)
	cmd.Flag("message", "The message of the event: the job's name.").Required().StringVar(&f.message)
	cmd.Flag("server", "The server to which the event belongs; this host's name by default.").StringVar(&f.server)
	f.api.register(cmd)
	f.destination.register(cmd, hints)
	return Command{Name: "wrap", TakesArgs: true, Run: func(ctx context.Context, e *Env) error { return wrap(ctx, f, e) }}
}

// wrap runs a command and reports it. The report runs beside the command,
// which never waits for it, and after its end takes one --api.timeout at most.
// A report that fails is told in one line on stderr and changes nothing. The
// error carries the command's exit code, other than 0.
func wrap(ctx context.Context, f *wrapFlags, e *Env) error {
	if len(e.Args) == 0 {
		return errors.New("wrap: there is no command; write it after --, as in: wrap --category=Backups --message=nightly -- /usr/local/bin/backup")
	}
	// A signal that ends the program otherwise goes to the command, whose end
	// is then reported like any other.
	ctx = context.WithoutCancel(ctx)
	r := &runReport{f: f, env: e, start: time.Now()}
	beginning, cancel := context.WithTimeout(ctx, f.api.timeout)
	defer cancel()
	began := make(chan error, 1)
	go func() { began <- r.begin(beginning) }()
	code, err := process.Wrap(e.Args, e.Stdin, e.Raw[0], e.Raw[1])
	end := time.Now()
	if err != nil {
		fmt.Fprintln(e.Stderr, "scriptbridge: wrap:", err)
	}
	ending, cancel := context.WithTimeout(ctx, f.api.timeout)
	defer cancel()
	// What begin could not do, finish tries again, so far as there is time.
	err = r.finish(ending, <-began, code, end)
	if r.destination != nil {
		err = errors.Join(err, r.destination.deliver(ctx), r.destination.close())
	}
	if err != nil {
		fmt.Fprintln(e.Stderr, "scriptbridge: wrap: the run is not reported:", texts.OneLine(err.Error()))
	}
	if code != 0 {
		return &ExitError{code}
	}
	return nil
}

// runReport is what a server is told of one run. begin and finish are called
// one after the other.
type runReport struct {
	f                *wrapFlags
	env              *Env
	destination      *destination // nil where an API is asked
	start            time.Time
	client           *coscale.Client
	server, category int64
	event            coscale.EventData // as last known; no id: it may not be there
}

// attributeDescriptions are those of cron.sh's categories, but for a message,
// which the event has itself.
const attributeDescriptions = `[{"name":"exitCode","type":"integer"},{"name":"executionTime","type":"integer","unit":"s"}]`

// attributes of the event; -1 stands for what is not known yet.
type attributes struct {
	ExitCode      int   `json:"exitCode"`
	ExecutionTime int64 `json:"executionTime"` // in seconds
}

func (a attributes) String() string {
	text, _ := json.Marshal(a) // numbers can all be written
	return string(text)
}

// begin tells of the start: an event that goes on. What is written by remote write says
// once how a run has ended, and takes no storage before.
func (r *runReport) begin(ctx context.Context) error {
	if r.f.destination.upload != "" {
		return nil
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	made, err := r.client.InsertEvent(ctx, r.category, r.event)
	if err == nil {
		r.event.ID, r.event.Version = made.ID, made.Version
	}
	return err
}

// prepare sees to it that all is there that an event needs.
func (r *runReport) prepare(ctx context.Context) (err error) {
	if r.category != 0 {
		return nil
	}
	name := r.f.server
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return fmt.Errorf("this host has no name; give --server: %w", err)
		}
	}
	if r.client, err = r.connect(); err != nil {
		return err
	}
	if r.server, err = makeServer(ctx, r.client, name); err != nil {
		return err
	}
	r.event = coscale.EventData{
		Message: r.f.message, Timestamp: r.start.Unix(), Subject: coscale.SubjectOf(coscale.Servers, r.server),
		Attribute: attributes{-1, -1}.String(),
	}
	r.category, err = r.client.Create(ctx, coscale.Categories, &coscale.Category{
		Object: coscale.Object{Name: r.f.category}, AttributeDescriptions: attributeDescriptions, Source: sourceName,
	})
	return err
}

// connect gives a client of what is told.
func (r *runReport) connect() (*coscale.Client, error) {
	if r.f.destination.upload == "" {
		return r.f.api.client()
	}
	var err error
	if r.destination, err = r.f.destination.open(r.env); err != nil {
		return nil, err
	}
	return r.destination.client, nil
}

// finish tells of the end: the event stops, and the metrics have a point.
// began is what begin returned.
func (r *runReport) finish(ctx context.Context, began error, code int, end time.Time) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if began != nil {
		if err := r.find(ctx); err != nil {
			return err
		}
	}
	stop := end.Unix()
	took := end.Sub(r.start)
	r.event.StopTime = &stop
	r.event.Attribute = attributes{code, int64(took.Round(time.Second) / time.Second)}.String()
	var err error
	if r.event.ID != 0 {
		_, err = r.client.UpdateEvent(ctx, r.category, r.event)
	} else {
		_, err = r.client.InsertEvent(ctx, r.category, r.event)
	}
	return errors.Join(err, r.measure(ctx, code, took, stop))
}

// find looks for the event that begin made without hearing of it: an
// event must not be there twice.
func (r *runReport) find(ctx context.Context) error {
	all, err := r.client.Events(ctx, r.category, r.event.Timestamp-1, r.event.Timestamp+1)
	for _, e := range all {
		if e.Timestamp == r.event.Timestamp && e.Message == r.event.Message && e.Subject == r.event.Subject && e.StopTime == nil {
			r.event.ID, r.event.Version = e.ID, e.Version
		}
	}
	return err
}

// measure sends the run's two metrics. What tells runs apart are dimensions:
// two metrics serve all jobs.
func (r *runReport) measure(ctx context.Context, code int, took time.Duration, at int64) error {
	values := map[string]string{"category": r.f.category, "message": r.f.message}
	var dimensions []int64
	for _, name := range slices.Sorted(maps.Keys(values)) {
		id, err := r.client.Create(ctx, coscale.Dimensions, &coscale.Dimension{Name: name})
		if err != nil {
			return err
		}
		dimensions = append(dimensions, id)
	}
	var data []coscale.Data
	for _, m := range []struct {
		name, unit string
		value      float64
	}{
		{"Command exit code", "", float64(code)},
		{"Command duration", "s", took.Seconds()},
	} {
		id, err := r.client.Create(ctx, coscale.Metrics, &coscale.Metric{
			Object: coscale.Object{Name: m.name}, Unit: m.unit, Period: 60, Source: sourceName, DataType: "DOUBLE", Subject: "SERVER",
		})
		if err != nil {
			return err
		}
		for _, dimension := range dimensions {
			if err := r.client.Link(ctx, coscale.Metrics, id, coscale.Dimensions, dimension); err != nil {
				return err
			}
		}
		data = append(data, coscale.Data{
			Metric: id, Subject: r.event.Subject, Points: []coscale.Point{{Time: at, Value: m.value}},
			Dimensions: values,
		})
	}
	return r.client.InsertData(ctx, data)
}
