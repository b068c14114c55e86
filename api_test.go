package main

import (
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

func cmdAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: api METHOD PATH STATUS [FORM]")
	}
	base, form := cmp.Or(ts.Getenv("API"), bridgeOf(ts).url), ""
	if len(args) == 4 {
		form = args[3]
	}
	req, err := http.NewRequest(args[0], base+args[1], strings.NewReader(form))
	ts.Check(err)
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token := ts.Getenv("TOKEN"); token != "" {
		req.Header.Set("HTTPAuthorization", token)
	}
	status, body := answerTo(ts, req)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), []byte(body), 0o600))
	if strconv.Itoa(status) != args[2] {
		ts.Fatalf("%s %s answered %d, not %s:\n%s", args[0], args[1], status, args[2], body)
	}
	var login struct{ Token string }
	if json.Unmarshal([]byte(body), &login) == nil && login.Token != "" {
		ts.Setenv("TOKEN", login.Token)
	}
}

func cmdSend(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: send NETWORK ADDRESS FILE")
	}
	c, err := net.Dial(args[0], args[1])
	ts.Check(err)
	defer c.Close()
	_, err = io.WriteString(c, ts.ReadFile(args[2]))
	ts.Check(err)
}

func cmdHold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	bridgeOf(ts).held[args[0]] = l
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

func cmdRelease(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || bridgeOf(ts).held[args[0]] == nil {
		ts.Fatalf("usage: release NAME, of a port that is held")
	}
	bridgeOf(ts).held[args[0]].Close()
}

func cmdExpand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(os.Expand(ts.ReadFile(name), ts.Getenv)), 0o600))
	}
}
