package server

import (
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/coscale"
)

// Bounds on what a header may say: names, and their bytes. A chain of bridges
// that is longer is taken for a ring.
const (
	maxVia     = 16
	maxViaName = 64
)

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
	return conflict(coscale.LoopType, "This went out from here and has come back: bridges upload to each other in a ring; take upload out of one of them.")
}
