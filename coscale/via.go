package coscale

import "context"

// What a bridge uploads may come to a bridge that uploads too, and so on; in a
// ring it would go round for ever. So each request of an upload names the
// bridges that its content came through, the sender first, and a bridge does
// not take what it finds itself in. The service and its clients know nothing
// of it.

// ViaHeader has the names, with commas between.
const ViaHeader = "Scriptbridge-Via"

// LoopType is the type of an answer to what has come back.
const LoopType = "LOOP"

type viaKey struct{}

// WithVia has the requests that are made with ctx tell that their content came
// through bridges; empty: through none. The login before them, which has no content,
// does not.
func WithVia(ctx context.Context, via string) context.Context {
	return context.WithValue(ctx, viaKey{}, via)
}

// via is the header's value for a request.
func (c *Client) via(ctx context.Context) string {
	if via, _ := ctx.Value(viaKey{}).(string); via != "" {
		return c.o.Bridge + ", " + via
	}
	return c.o.Bridge
}
