package cli

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"scriptbridge/config"
	"scriptbridge/coscale"
)

// apiFlags say where the commands that are clients of CoScale's API find it.
type apiFlags struct {
	url, appID, tokenFile, caFile string
	insecure                      bool
	timeout                       time.Duration
}

func (a *apiFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("api.url", "The URL of the API: of a bridge that has receive.coscale, or of another server.").Default("http://127.0.0.1:10469").Envar("SCRIPTBRIDGE_API_URL").StringVar(&a.url)
	cmd.Flag("api.app-id", "The application's id.").Envar("SCRIPTBRIDGE_API_APP_ID").StringVar(&a.appID)
	cmd.Flag("api.token-file", "A file that holds the access token, not readable by others.").Envar("SCRIPTBRIDGE_API_TOKEN_FILE").StringVar(&a.tokenFile)
	cmd.Flag("api.ca-file", "A file with the certificate authorities to trust instead of the system's.").Envar("SCRIPTBRIDGE_API_CA_FILE").StringVar(&a.caFile)
	cmd.Flag("api.insecure", "Allow the token to cross the network in clear text, by http.").Envar("SCRIPTBRIDGE_API_INSECURE").BoolVar(&a.insecure)
	cmd.Flag("api.timeout", "The time for one request and its answer.").Default("5s").Envar("SCRIPTBRIDGE_API_TIMEOUT").DurationVar(&a.timeout)
}

// client makes a client after the flags. Nothing is asked yet.
func (a *apiFlags) client() (*coscale.Client, error) {
	u, err := url.Parse(a.url)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("--api.url is not one of http or https; write it like http://127.0.0.1:10469")
	case u.User != nil:
		return nil, errors.New("--api.url has a user in it; the API knows a token: use --api.token-file")
	case u.Scheme == "http" && !a.insecure && !config.IsLoopback(u.Hostname()):
		return nil, fmt.Errorf("--api.url=%s would send the token in clear text; use https, or give --api.insecure", a.url)
	case a.appID == "":
		return nil, errors.New("the application's id is missing; give --api.app-id, or set SCRIPTBRIDGE_API_APP_ID")
	case a.tokenFile == "":
		return nil, errors.New("the access token is missing; give --api.token-file, or set SCRIPTBRIDGE_API_TOKEN_FILE")
	}
	roots, err := config.ReadCertificates(a.caFile)
	if err != nil {
		return nil, fmt.Errorf("--api.ca-file: %w", err)
	}
	return coscale.NewClient(coscale.ClientOptions{
		URL: a.url, AppID: a.appID, Token: config.SecretOf(a.tokenFile), HTTP: coscale.NewHTTPClient(roots, a.timeout), Setting: "--api.url",
	}), nil
}
