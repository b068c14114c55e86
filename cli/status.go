package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	promconfig "github.com/prometheus/common/config"

	"scriptbridge/config"
	"scriptbridge/internal/terminal"
	"scriptbridge/internal/texts"
	"scriptbridge/status"
)

// ask is the command status, and its flags.
type ask struct {
	*Env
	names      []string
	url        string
	httpConfig string
	timeout    time.Duration
	output     string
	watch      bool
	interval   time.Duration

	client *http.Client
	color  string
	out    *terminal.Printer
	screen func() (lines int, ok bool) // of the terminal that Raw[0] is
}

// mayAnswer bounds an answer of the bridge.
const mayAnswer = 64 << 20

// cannotAsk is the exit code where nothing is known: UNKNOWN to Nagios.
const cannotAsk = 3

// Status adds status to app, as Try does try.
func Status(app *kingpin.Application, hints Hints) Command {
	a := new(ask)
	cmd := app.Command("status", "Ask a running bridge how its scripts, receivers and uploads are. The exit code is that of a Nagios plugin: 0 all is well, 1 something wants looking at, 2 something fails, 3 the bridge cannot be asked.")
	cmd.Arg("name", "Scripts, receivers and uploads to show; all by default.").HintAction(hints.all).StringsVar(&a.names)
	cmd.Flag("url", "The URL of the bridge's web port, or its --web.listen-address.").Default("http://127.0.0.1:10469").Envar("SCRIPTBRIDGE_URL").StringVar(&a.url)
	cmd.Flag("http.config.file", "A file in the form of Prometheus's http_config, with basic_auth, tls_config and so on.").PlaceHolder("FILE").StringVar(&a.httpConfig)
	cmd.Flag("timeout", "The time for one request and its answer.").Default("5s").DurationVar(&a.timeout)
	cmd.Flag("output", "text: a table; json: the document of /api/v1/status.").Default("text").EnumVar(&a.output, "text", "json")
	cmd.Flag("watch", "Ask again at each --interval, until interrupted.").Short('w').BoolVar(&a.watch)
	cmd.Flag("interval", "How often --watch asks.").Default("2s").DurationVar(&a.interval)
	ColorFlag(cmd, &a.color)
	return Command{Name: "status", Run: func(ctx context.Context, e *Env) error {
		a.Env, a.out, a.screen = e, terminal.New(e.Stdout, e.Raw[0], a.color), screenOf(e.Raw[0])
		return a.run(ctx)
	}}
}

func (a *ask) run(ctx context.Context) error {
	if a.interval == 0 {
		return a.unknown(errors.New("--interval=0s is no pause between two requests (write it like 2s)"))
	}
	if err := a.prepare(); err != nil {
		return a.unknown(err)
	}
	if a.watch {
		return a.watching(ctx)
	}
	o, err := a.overview(ctx)
	if err != nil {
		return a.unknown(err)
	}
	text, err := a.shown(o)
	if err != nil {
		return err
	}
	a.print(text)
	if s := o.Severity(); s != status.Fine {
		return &ExitError{Code: int(s)}
	}
	return nil
}

// unknown ends the command where nothing is known, with a line that Nagios shows.
func (a *ask) unknown(err error) error {
	fmt.Fprintln(a.Stdout, "UNKNOWN: "+texts.OneLine(err.Error()))
	return &ExitError{Code: cannotAsk}
}

// watching asks until ctx ends. On a terminal each answer is drawn over the one
// before; into a pipe they are printed one after the other.
func (a *ask) watching(ctx context.Context) error {
	for n := 0; ; n++ {
		var text string
		o, err := a.overview(ctx)
		if err == nil {
			text, err = a.shown(o)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			text = "UNKNOWN: " + texts.Visible(texts.OneLine(err.Error())) + "\n"
		}
		if lines, ok := a.screen(); ok && a.output == "text" {
			io.WriteString(a.Raw[0], terminal.Frame(text, lines)) //nolint:errcheck // who does not read it has left
		} else {
			if n > 0 && a.output == "text" {
				text = "\n" + text
			}
			a.print(text)
		}
		select {
		case <-time.After(a.interval):
		case <-ctx.Done():
			return nil
		}
	}
}

// print prints what shown has made.
func (a *ask) print(text string) {
	if a.output == "json" {
		fmt.Fprint(a.Stdout, text)
	} else {
		a.out.Drawn(text)
	}
}

// shown is an overview as --output says.
func (a *ask) shown(o *status.Overview) (string, error) {
	if a.output == "json" {
		text, err := status.JSON(o, "  ")
		return string(text), err
	}
	var b strings.Builder
	overviewText(a.out.To(&b), o, time.Now())
	return b.String(), nil
}

// prepare makes the client and the URL after the flags. Nothing is asked yet.
func (a *ask) prepare() error {
	var err error
	if a.url, err = statusURL(a.url); err != nil {
		return err
	}
	cfg := &promconfig.DefaultHTTPClientConfig
	if a.httpConfig != "" {
		if cfg, err = a.readHTTPConfig(); err != nil {
			return fmt.Errorf("--http.config.file: %w", err)
		}
	}
	if a.client, err = promconfig.NewClientFromConfig(*cfg, "scriptbridge status"); err != nil {
		return fmt.Errorf("--http.config.file: %w", err)
	}
	a.client.Timeout = a.timeout
	// What --http.config.file has, such as http_headers, is for the bridge alone.
	a.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return nil
}

// quotedValue is where an error of YAML's reader shows a value of the file.
var quotedValue = regexp.MustCompile("`[^`]*`")

func (a *ask) readHTTPConfig() (*promconfig.HTTPClientConfig, error) {
	if a.Trusted != nil {
		if e := a.Trusted.Fault(a.httpConfig); e != nil {
			return nil, fmt.Errorf("%s %s (%s, or start with --config.trusted-path=%s)", a.httpConfig, e.Obeyed(), e.Remedy(), e.Component)
		}
	}
	cfg, _, err := promconfig.LoadHTTPConfigFile(a.httpConfig)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%s: %s", a.httpConfig, quotedValue.ReplaceAllString(err.Error(), "…"))
	}
	return cfg, nil
}

// statusURL is where the status is asked for: below a URL, or at an address as
// --web.listen-address has it.
func statusURL(given string) (string, error) {
	text := given
	if !strings.Contains(text, "://") {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return "", fmt.Errorf("--url=%s is neither a URL nor an address (write it like http://127.0.0.1:10469, or :10469)", given)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		text = "http://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("--url is not one of http or https (write it like http://127.0.0.1:10469)")
	case u.User != nil:
		return "", errors.New("--url has a user in it, which others can read in the list of processes (give --http.config.file with basic_auth)")
	}
	return strings.TrimSuffix(u.String(), "/") + "/api/v1/status", nil
}

// overview asks.
func (a *ask) overview(ctx context.Context) (*status.Overview, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := a.client.Do(r)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		remedy := "is the bridge running, and is this its web port? --url names another"
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			remedy = "give --http.config.file with tls_config"
		} else if errors.Is(err, http.ErrSchemeMismatch) {
			remedy = "write --url=http://…"
		}
		return nil, fmt.Errorf("%s cannot be asked: %w (%s)", a.url, err, remedy)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, mayAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s did not answer to the end: %w", a.url, err)
	}
	o := new(status.Overview)
	if answer.StatusCode != http.StatusOK {
		return nil, a.refusal(answer, body)
	}
	if err := json.Unmarshal(body, o); err != nil || o.States == nil {
		return nil, fmt.Errorf("%s is not the status of a bridge (is this its web port? --url names another)", a.url)
	}
	if len(a.names) > 0 {
		known := o.Names()
		if unknown, ok := o.Only(a.names); !ok {
			hint := ""
			if like := config.Nearest(unknown, known); like != "" {
				hint = fmt.Sprintf(" (did you mean %q?)", like)
			}
			return nil, fmt.Errorf("there is no script, receiver or upload %q at %s%s", unknown, a.url, hint)
		}
	}
	return o, nil
}

// refusal says why there is no overview in an answer.
func (a *ask) refusal(answer *http.Response, body []byte) error {
	var told status.Failure
	code := answer.StatusCode
	_ = json.Unmarshal(body, &told) // else it is no bridge, or one that has no such API
	why := cmp.Or(texts.Shorten(told.Error, 500), http.StatusText(code))
	switch to := answer.Header.Get("Location"); {
	case code >= 300 && code < 400 && to != "":
		why = fmt.Sprintf("it leads to %s, which is not followed (if the bridge is there, give --url)", texts.Shorten(to, 500))
	case code == http.StatusUnauthorized:
		why += " (give --http.config.file with basic_auth)"
	case code == http.StatusNotFound:
		why += " (is this the web port of a bridge, of a version that has this API?)"
	case code == http.StatusBadRequest && strings.Contains(string(body), "HTTPS server"):
		why = "it speaks TLS (write --url=https://…)"
	}
	return fmt.Errorf("%s answered with status %d: %s", a.url, code, why)
}
