package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/panics"
	"scriptbridge/internal/repeat"
	"scriptbridge/internal/sdnotify"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

const (
	// statusEvery is how often it is looked whether there is a new status.
	statusEvery = 10 * time.Second
	// stallAfter is how long a script may be due, with a place for it free, before
	// it is the bridge that does not run it.
	stallAfter = time.Minute
)

// service tells the service manager how the bridge is: systemd, or another that speaks its
// protocol, and Windows' own when the bridge is ready. Without one it does nothing.
type service struct {
	manager *sdnotify.Manager
	began   func() // of signals
	logger  log.Logger
	status  func() string // a line for people
	works   func() error  // why the bridge does not do what it is for

	mu         sync.Mutex // held while something is sent
	stopping   bool       // nothing else is told any more
	lastStatus string     // the status that it has
	silent     repeat.State
	stuck      repeat.State
}

// newService takes the service manager out of the environment: scripts are not to
// see it, whatever else they are given.
func newService(ctx context.Context, logger log.Logger) *service {
	manager, err := sdnotify.FromEnvironment()
	if err != nil {
		level.Warn(logger).Log("msg", "the service manager asks in an odd way to be told of the bridge", "err", err)
	}
	return &service{manager: manager, logger: logger, began: signalsOf(ctx).ready}
}

// ready tells that the listeners are open and a configuration is in force.
func (s *service) ready() {
	s.notify(sdnotify.Ready, s.status())
	if s.began != nil {
		s.began()
	}
}

// reloading tells that a reload has begun; ready ends that.
func (s *service) reloading() { s.notify(sdnotify.Reloading(), "reloading the configuration") }

// stop tells that the end has begun.
func (s *service) stop() {
	s.notify(sdnotify.Stopping, "stopping")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

// notify sends something, if not "", and the status if that is new.
func (s *service) notify(what, status string) {
	if s.manager == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	if what != "" {
		lines = append(lines, what)
	}
	if status != s.lastStatus {
		lines = append(lines, sdnotify.Status(status))
	}
	if s.stopping || len(lines) == 0 {
		return
	}
	err := s.manager.Send(lines...)
	if err == nil {
		s.lastStatus = status
	}
	s.silent.Log(s.logger, err, "the service manager cannot be told of the bridge", "the service manager is told of the bridge again")
}

// watch keeps the status up to date until ctx ends and, where there is a watchdog,
// tells it that the bridge is alive: not merely that this loop turns, but that
// the bridge does what it is for.
func (s *service) watch(ctx context.Context) {
	if s.manager == nil {
		return
	}
	every := statusEvery
	if w := s.manager.Watchdog; w > 0 {
		every = min(every, max(w/3, time.Millisecond))
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s.notify(s.alive(), s.status())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// alive gives what the watchdog is to be told: nothing where the bridge does not
// work.
func (s *service) alive() string {
	if s.manager.Watchdog == 0 {
		return ""
	}
	err := panics.Try(s.works)
	s.stuck.Log(s.logger, err, "the bridge does not work; the watchdog is not told that it is alive, and will restart it", "the bridge works again")
	if err != nil {
		return ""
	}
	return sdnotify.Watchdog
}

// status is a line on how the bridge is. It waits for nothing.
func (b *bridge) status() string {
	views := b.pool.Views()
	failing := 0
	for _, v := range views {
		if v.Last != nil && v.Last.Result != record.OK {
			failing++
		}
	}
	text := fmt.Sprintf("%s, %d failing", texts.Count(len(views), "script"), failing)
	var down []string
	for _, v := range b.sources.receivers.Views() {
		if !v.Up {
			down = append(down, "receiver "+v.Name)
		}
	}
	for _, u := range b.uploads.States() {
		if u.Error != "" {
			down = append(down, "upload "+u.Name)
		}
	}
	if b.files.down() {
		down = append(down, "textfile")
	}
	if len(down) > 0 {
		text += "; also failing: " + strings.Join(down, ", ")
	}
	if ok, _, _ := b.reloader.status(); !ok {
		text += "; the last reload failed"
	}
	return text
}

// works says why the bridge does not do what it is for: scripts run when they are
// due, and there is a page for Prometheus. What hangs for ever it hangs with.
func (b *bridge) works(handler http.Handler) error {
	if name := b.pool.Stalled(stallAfter); name != "" {
		return fmt.Errorf("the script %q has been due for more than %v, and does not run, although there is a place for it", name, stallAfter)
	}
	scrape, err := http.NewRequest(http.MethodHead, b.location.Prefix+b.flags.serve.telemetryPath, nil)
	if err != nil {
		return err
	}
	// As Prometheus asks, so that it is the same page.
	scrape.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	scrape.Header.Set("Accept-Encoding", "gzip")
	answer := unread{header: make(http.Header), status: http.StatusOK}
	handler.ServeHTTP(&answer, scrape)
	if answer.status != http.StatusOK {
		return fmt.Errorf("the metrics page answers with status %d", answer.status)
	}
	return nil
}

// unread is an answer that nobody reads.
type unread struct {
	header http.Header
	status int
}

func (u *unread) Header() http.Header         { return u.header }
func (u *unread) Write(p []byte) (int, error) { return len(p), nil }
func (u *unread) WriteHeader(status int)      { u.status = status }
