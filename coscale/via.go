package coscale

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log/level"
)

// What a bridge uploads may come to a bridge that uploads too, and so on; in a
// ring it would go round for ever. So each request of an upload names the
// bridges that its content came through, the sender first, and a bridge does
// not take what it finds itself in. The service and its clients know nothing
// of it.

// viaHeader has the names, with commas between.
const viaHeader = "Scriptbridge-Via"

// Bounds on what a header may say: names, and their bytes. A chain of bridges
// that is longer is taken for a ring.
const (
	maxVia     = 16
	maxViaName = 64
)

// loopType is the type of an answer to what has come back.
const loopType = "LOOP"

// parseVia reads the header. What is no name of a bridge is left out: only
// bridges say it, and each means its own.
func parseVia(header []string) (via []string) {
	for name := range strings.SplitSeq(strings.Join(header, ","), ",") {
		if name = strings.TrimSpace(name); goodViaName(name) && len(via) <= maxVia {
			via = append(via, name)
		}
	}
	return via
}

func goodViaName(name string) bool {
	return name != "" && len(name) <= maxViaName && strings.Trim(name, viaLetters) == ""
}

const viaLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

type viaKey struct{}

// withVia has the requests that are made with ctx tell that their content came
// through bridges.
func withVia(ctx context.Context, via string) context.Context {
	if via == "" {
		return ctx
	}
	return context.WithValue(ctx, viaKey{}, via)
}

// via is the header's value for a request.
func (c *Client) via(ctx context.Context) string {
	if via, ok := ctx.Value(viaKey{}).(string); ok {
		return c.o.Bridge + ", " + via
	}
	return c.o.Bridge
}

// looped says whether a request brings back what went out from here.
func (h *Handler) looped(c *call) bool {
	return h.o.Own != "" && (slices.Contains(c.via, h.o.Own) || len(c.via) > maxVia)
}

// loopAgain is how often a ring is told of.
const loopAgain = time.Hour

// refuseLoop makes the answer to what has come back.
func (h *Handler) refuseLoop(c *call) error {
	h.refused("loop")
	last := h.toldLoop.Load()
	if (last == 0 || c.now.Sub(time.Unix(0, last)) >= loopAgain) && h.toldLoop.CompareAndSwap(last, c.now.UnixNano()) {
		level.Error(h.logger).Log("msg", "what this bridge has uploaded comes back to it, and is refused: bridges upload to each other in a ring; take upload out of one of them", "via", strings.Join(c.via, ", "))
	}
	return conflict(loopType, "This went out from here and has come back: bridges upload to each other in a ring; take upload out of one of them.")
}
