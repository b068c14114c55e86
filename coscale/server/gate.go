package server

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// sessionLife is how long a session lasts; clients log in again by
	// themselves at the first 401.
	sessionLife = 12 * time.Hour
	// failureDelay keeps the StatsD backend, which logs in at every 401, from
	// doing so a thousand times a second. It is below the timeout of the most
	// impatient client, SaltStack's returner: 1 s.
	failureDelay = 800 * time.Millisecond
	// maxDelayed bounds how many wait at a time.
	maxDelayed = 64
	// A client may fail so often to log in, and once more with each failureEvery. Until
	// then it is answered without a look at its token.
	maxFailures  = 10
	failureEvery = 6 * time.Second
	// maxFailing bounds half of the clients whose failures are remembered.
	maxFailing = 5000
)

// gate lets clients in. A session's token holds its end and a code over it that
// only we can make, so that sessions need no memory, however many there are
// (coscale-cli logs in for each of its runs), and outlive a restart that keeps
// the secret. They end when the access token they were given for is taken away.
type gate struct {
	secret []byte
	// keys are one for each access token, all of one length, so that comparing
	// them tells nothing of the token's.
	keys     [][]byte
	delayed  chan struct{}
	failures failures
}

func newGate(secret []byte, accessTokens []string) *gate {
	g := &gate{secret: secret, delayed: make(chan struct{}, maxDelayed)}
	for _, t := range accessTokens {
		g.keys = append(g.keys, authCode(secret, []byte(t)))
	}
	return g
}

func authCode(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// login gives a new session for an access token; empty when it is not one.
// Its time does not depend on how much of the token is right.
func (g *gate) login(accessToken string, now time.Time) string {
	given := authCode(g.secret, []byte(accessToken))
	var key []byte
	for _, k := range g.keys {
		if hmac.Equal(k, given) {
			key = k
		}
	}
	if key == nil {
		return ""
	}
	end := binary.BigEndian.AppendUint64(nil, uint64(now.Add(sessionLife).Unix()))
	return base64.RawURLEncoding.EncodeToString(append(end, authCode(key, end)[:16]...))
}

// check says whether a session was ever given out, and whether it still is one.
func (g *gate) check(session string, now time.Time) (issued, good bool) {
	raw, err := base64.RawURLEncoding.DecodeString(session)
	if err != nil || len(raw) != 24 {
		return false, false
	}
	for _, key := range g.keys {
		issued = hmac.Equal(authCode(key, raw[:8])[:16], raw[8:]) || issued
	}
	return issued, issued && now.Unix() < int64(binary.BigEndian.Uint64(raw))
}

// delay waits, so that guessing and login loops are slow. It reports false,
// without waiting, when too many do so already.
func (g *gate) delay(ctx context.Context) bool {
	select {
	case g.delayed <- struct{}{}:
	default:
		return false
	}
	defer func() { <-g.delayed }()
	select {
	case <-time.After(failureDelay):
	case <-ctx.Done():
	}
	return true
}

// failures are the logins that failed of late, by client, as far as they count yet. The
// zero value is ready.
type failures struct {
	mu         sync.Mutex
	young, old map[string]*rate.Limiter // of the last minute, or of fewer when they are many; and before that
	since      time.Time                // when young began
}

// try lets a client log in; blocked says that it has failed too often for that, and
// first that it has just now.
func (f *failures) try(client string, now time.Time, login func() bool) (blocked, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.since) >= maxFailures*failureEvery || len(f.young) >= maxFailing {
		f.young, f.old, f.since = make(map[string]*rate.Limiter), f.young, now
	}
	one := cmp.Or(f.young[client], f.old[client])
	if one == nil {
		one = rate.NewLimiter(rate.Every(failureEvery), maxFailures)
	}
	if one.TokensAt(now) < 1 {
		return true, false
	}
	if login() {
		return false, false
	}
	one.AllowN(now, 1)
	f.young[client] = one
	return false, one.TokensAt(now) < 1
}
