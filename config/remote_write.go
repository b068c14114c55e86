package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"

	"scriptbridge/config/internal/yamltree"
)

// UploadRemoteWrite sends to one destination of Prometheus's remote write protocol.
type UploadRemoteWrite struct {
	Name            string            `yaml:"name" first:"true" format:"upload name" doc:"tells it from others: pages, series and its queue on disk call it 'remote_write_NAME'. One destination may have none, and is called 'remote_write'"`
	URL             string            `yaml:"url" aka:"address endpoint" required:"write where the destination takes remote write, as in https://prometheus.example.com/api/v1/write" format:"url" doc:"where the destination takes remote write. Plain http to another machine, with anything of 'basic_auth', 'authorization', 'oauth2', 'bearer_token_file' or files of 'http_headers', needs 'insecure: true'"`
	ProtobufMessage string            `yaml:"protobuf_message" words:"prometheus.WriteRequest io.prometheus.write.v2.Request" unset:"remote write 2.0, and 1.0 where the destination knows only that" doc:"the message that is sent, that of remote write 1.0 or that of 2.0"`
	RemoteTimeout   time.Duration     `yaml:"remote_timeout" aka:"timeout" default:"30s" min:"1s" doc:"how long a request may take"`
	Interval        time.Duration     `yaml:"interval" default:"60s" min:"1s" doc:"what is on the page and was not written for this long is written again as it stands, as a scrape would find it; what receivers hold is written this often"`
	MaxAge          time.Duration     `yaml:"max_age" min:"1m" unset:"no bound" doc:"what waits for longer is dropped and counted, since the destination would refuse it as too old. Set Prometheus's 'out_of_order_time_window' to at least as much"`
	ExternalLabels  map[string]string `yaml:"external_labels" aka:"labels" format:"external label" doc:"labels on every series that does not have a label of that name itself"`
	Relabel         []RelabelRule     `yaml:"write_relabel_configs" aka:"metric_relabel_configs relabel_configs" doc:"rules that change series or drop them before they are sent, as in Prometheus, see below"`
	Headers         map[string]string `yaml:"headers" format:"header" doc:"headers of each request, such as 'X-Scope-OrgID'. What is secret belongs into a file under 'http_headers'"`
	HTTP            HTTPClient        `yaml:",inline"`
	Insecure        bool              `yaml:"insecure" default:"false" doc:"allow connections that send secrets in clear text"`
	Spool           Spool             `yaml:"spool"`

	// What Prometheus's own packages make of Relabel and of HTTP.
	WriteRelabelConfigs []*relabel.Config           `fingerprint:"-"`
	Client              promconfig.HTTPClientConfig `fingerprint:"-"`
}

// UploadName is what pages, series and messages call this upload, and its spool too.
func (u *UploadRemoteWrite) UploadName() string {
	if u.Name == "" {
		return "remote_write"
	}
	return "remote_write_" + u.Name
}

// RelabelRule is an item of write_relabel_configs, as it is written.
type RelabelRule struct {
	SourceLabels []string `yaml:"source_labels" doc:"labels whose values are put together, with 'separator' between them"`
	Separator    *string  `yaml:"separator" unset:"';'" doc:"what is put between the values"`
	Regex        *string  `yaml:"regex" format:"regexp" unset:"'(.*)'" doc:"a regular expression that the whole of it, or for 'labelmap', 'labeldrop' and 'labelkeep' a label's name, is held against"`
	Modulus      int      `yaml:"modulus" min:"1" doc:"what 'hashmod' divides the hash by"`
	TargetLabel  string   `yaml:"target_label" doc:"the label that is set, or compared with"`
	Replacement  *string  `yaml:"replacement" unset:"'$1'" doc:"what it is set to; '$1' and the like stand for groups of 'regex'"`
	Action       string   `yaml:"action" unset:"'replace'" doc:"what is done: 'replace', 'keep', 'drop', 'keepequal', 'dropequal', 'hashmod', 'labelmap', 'labeldrop', 'labelkeep', 'lowercase' or 'uppercase'"`
}

// HTTPClient are the keys of Prometheus's http_config, but for those that hold secrets
// themselves.
type HTTPClient struct {
	BasicAuth       BasicAuth             `yaml:"basic_auth"`
	Authorization   Authorization         `yaml:"authorization"`
	OAuth2          *OAuth2               `yaml:"oauth2" doc:"has a token fetched that is sent with each request, see below"`
	_               struct{}              `yaml:"bearer_token" refused:"would put a secret into the configuration" remedy:"write it into a file that others cannot read, and name that by bearer_token_file"`
	BearerTokenFile string                `yaml:"bearer_token_file" format:"secret file" doc:"a file with a token, not readable by others; short for 'authorization: {credentials_file: …}'"`
	TLS             TLSClient             `yaml:"tls_config"`
	FollowRedirects *bool                 `yaml:"follow_redirects" unset:"'true'" doc:"follow redirects"`
	EnableHTTP2     *bool                 `yaml:"enable_http2" unset:"'true'" doc:"speak HTTP/2 where the destination does"`
	Proxy           Proxy                 `yaml:",inline"`
	HTTPHeaders     map[string]HTTPHeader `yaml:"http_headers" format:"header" write:"write a header's name, and beneath it values or files" doc:"headers of each request whose values can be in files, by their names, see below"`
}

// BasicAuth is a user with a password.
type BasicAuth struct {
	Username     string   `yaml:"username" doc:"the user's name"`
	UsernameFile string   `yaml:"username_file" format:"file" doc:"a file that holds it"`
	_            struct{} `yaml:"password" refused:"would put a secret into the configuration" remedy:"write it into a file that others cannot read, and name that by password_file"`
	PasswordFile string   `yaml:"password_file" format:"secret file" doc:"a file that holds the password, not readable by others"`
}

// Authorization is the header of that name.
type Authorization struct {
	Type            string   `yaml:"type" unset:"'Bearer'" doc:"the scheme in front of the credentials"`
	_               struct{} `yaml:"credentials" refused:"would put a secret into the configuration" remedy:"write it into a file that others cannot read, and name that by credentials_file"`
	CredentialsFile string   `yaml:"credentials_file" format:"secret file" doc:"a file that holds the credentials, such as a token, not readable by others"`
}

// OAuth2 is how a token is fetched.
type OAuth2 struct {
	ClientID                 string      `yaml:"client_id" required:"write the client's id" doc:"the client's id"`
	_                        struct{}    `yaml:"client_secret" refused:"would put a secret into the configuration" remedy:"write it into a file that others cannot read, and name that by client_secret_file"`
	ClientSecretFile         string      `yaml:"client_secret_file" format:"secret file" doc:"a file that holds the client's secret, not readable by others"`
	ClientCertificateKeyID   string      `yaml:"client_certificate_key_id" doc:"the id of the key that signs"`
	_                        struct{}    `yaml:"client_certificate_key" refused:"would put a secret into the configuration" remedy:"write it into a file that others cannot read, and name that by client_certificate_key_file"`
	ClientCertificateKeyFile string      `yaml:"client_certificate_key_file" format:"secret file" doc:"a file that holds the key that signs, not readable by others"`
	GrantType                string      `yaml:"grant_type" unset:"'client_credentials'" doc:"the grant's type; 'urn:ietf:params:oauth:grant-type:jwt-bearer' sends a signed token"`
	SignatureAlgorithm       string      `yaml:"signature_algorithm" unset:"'RS256'" doc:"what a token is signed with: 'RS256', 'RS384' or 'RS512'"`
	Issuer                   string      `yaml:"iss" unset:"'client_id'" doc:"who has issued a signed token"`
	Audience                 string      `yaml:"audience" unset:"'token_url'" doc:"whom a signed token is for"`
	Claims                   AnyMap      `yaml:"claims" doc:"further claims of a signed token"`
	Scopes                   []string    `yaml:"scopes" doc:"scopes that are asked for"`
	TokenURL                 string      `yaml:"token_url" format:"token url" required:"write where tokens are fetched, as in https://login.example.com/oauth2/token" doc:"where tokens are fetched"`
	EndpointParams           SecretTexts `yaml:"endpoint_params" format:"text" doc:"further parameters of the request for a token. '${env:NAME}' and '${credential:NAME}' stand for [secrets that are elsewhere](security.md#secrets)"`
	TLS                      TLSClient   `yaml:"tls_config"`
	Proxy                    Proxy       `yaml:",inline"`
}

// TLSClient is how a server's certificate is checked, and what a client shows.
type TLSClient struct {
	CA                 string   `yaml:"ca" doc:"the certificate authorities that are trusted, as PEM"`
	Cert               string   `yaml:"cert" doc:"the certificate that is shown, as PEM"`
	_                  struct{} `yaml:"key" refused:"would put a secret into the configuration" remedy:"write it into a file that others cannot read, and name that by key_file"`
	CAFile             string   `yaml:"ca_file" format:"file" unset:"the system's" doc:"a file of the certificate authorities that are trusted"`
	CertFile           string   `yaml:"cert_file" format:"file" doc:"a file of the certificate that is shown"`
	KeyFile            string   `yaml:"key_file" format:"secret file" doc:"a file of its key, not readable by others"`
	ServerName         string   `yaml:"server_name" unset:"that of the URL" doc:"the name that the server's certificate must have"`
	InsecureSkipVerify bool     `yaml:"insecure_skip_verify" default:"false" doc:"do not check the server's certificate"`
	MinVersion         string   `yaml:"min_version" words:"TLS10 TLS11 TLS12 TLS13" unset:"'TLS12'" doc:"the lowest version of TLS"`
	MaxVersion         string   `yaml:"max_version" words:"TLS10 TLS11 TLS12 TLS13" unset:"'TLS13'" doc:"the highest version of TLS"`
}

// Proxy is which proxy is used.
type Proxy struct {
	URL             string         `yaml:"proxy_url" format:"proxy url" doc:"the proxy that is used"`
	No              string         `yaml:"no_proxy" doc:"addresses that are reached without it, separated by commas"`
	FromEnvironment bool           `yaml:"proxy_from_environment" default:"false" doc:"use the proxy that 'HTTPS_PROXY', 'HTTP_PROXY' and 'NO_PROXY' name in the bridge's environment, which may have a password in it"`
	ConnectHeader   ConnectHeaders `yaml:"proxy_connect_header" doc:"headers for the proxy, lists of values by their names. '${env:NAME}' and '${credential:NAME}' stand for [secrets that are elsewhere](security.md#secrets)"`
}

// HTTPHeader has the values of one header.
type HTTPHeader struct {
	Values []string `yaml:"values" doc:"values that are no secret"`
	_      struct{} `yaml:"secrets" refused:"would put a secret into the configuration" remedy:"write each into a file that others cannot read, and name that by files"`
	Files  []string `yaml:"files" format:"secret file" doc:"files that hold a value each, not readable by others"`
}

// What only the package that reads it knows the form of.
type (
	// AnyMap is a map of anything.
	AnyMap map[string]any
	// SecretTexts are texts that are shown nowhere, by name.
	SecretTexts map[string]Secret
	// ConnectHeaders are lists of them.
	ConnectHeaders map[string][]Secret
)

// readItem reads one destination. It gives false where nothing can be called by it.
func (u *UploadRemoteWrite) readItem(e *entry, v *yamltree.Value) bool {
	if v.Kind != yamltree.Map {
		e.fail(v.Line, orText("url", v, "https://prometheus.example.com/api/v1/write"), "is %s, not a map", v.Kind)
		return false
	}
	before := len(e.Errs)
	e.object(yamltree.Field{Line: v.Line, Value: v}, u)
	e.checkHeaders(v)
	if len(e.Errs) == before {
		u.make(e, v)
		u.checkClearText(e, v)
	}
	at, name := v.Line, v.Get("name")
	if name != nil {
		at = name.Line
		if u.Name == "" { // it has been told what is wrong with it
			return false
		}
	}
	key := "upload." + u.UploadName()
	if first, taken := e.load.config.At[key]; taken {
		if name == nil {
			e.fail(at, "give each but one a name:", "has no name, as the destination at %s has none", first)
		} else {
			e.fail(at, "give one of the two another name:", "the name is taken by the destination at %s", first)
		}
		return false
	}
	e.load.config.At[key] = Position{File: e.file, Line: v.Line}
	return true
}

// readKey has messages call the destination by its name as soon as that is known.
func (u *UploadRemoteWrite) readKey(e *entry, _ *yamltree.Value, f yamltree.Field, read func()) {
	read()
	if f.Key == "name" && u.Name != "" {
		e.thing = fmt.Sprintf("%s %q", e.thing, u.Name)
	}
}

// make has Prometheus's packages read the keys that are theirs.
func (u *UploadRemoteWrite) make(e *entry, v *yamltree.Value) {
	for i := range u.Relabel {
		if rule, err := u.Relabel[i].config(); err == nil { // finish has told what is wrong
			u.WriteRelabelConfigs = append(u.WriteRelabelConfigs, rule)
		}
	}
	if err := decodeAs(&u.HTTP, &u.Client); err != nil {
		e.failAbout(v, err)
		return
	}
	if o := u.HTTP.OAuth2; o != nil && o.Claims != nil {
		u.Client.OAuth2.Claims = o.Claims // which the package's YAML makes maps in that JSON does not know
	}
	for file, secret := range secretsOf(&u.Client) {
		if name, ok := variableOf(*file); ok {
			*file, *secret = "", secretIn(name)
		}
	}
	for name, h := range u.HTTP.HTTPHeaders {
		made := u.Client.HTTPHeaders.Headers[name]
		made.Files = nil
		for _, file := range h.Files {
			if name, ok := variableOf(file); ok {
				made.Secrets = append(made.Secrets, secretIn(name))
			} else {
				made.Files = append(made.Files, file)
			}
		}
		u.Client.HTTPHeaders.Headers[name] = made
	}
}

// secretIn is the value of a variable, as the package reads that of a file.
func secretIn(variable string) promconfig.Secret {
	return promconfig.Secret(strings.TrimSpace(os.Getenv(variable)))
}

// secretsOf are the places of a file that holds a secret, with that of the secret itself.
func secretsOf(c *promconfig.HTTPClientConfig) map[*string]*promconfig.Secret {
	all := map[*string]*promconfig.Secret{&c.TLSConfig.KeyFile: &c.TLSConfig.Key}
	if b := c.BasicAuth; b != nil {
		all[&b.PasswordFile] = &b.Password
	}
	if a := c.Authorization; a != nil { // bearer_token_file is here too
		all[&a.CredentialsFile] = &a.Credentials
	}
	if o := c.OAuth2; o != nil {
		all[&o.ClientSecretFile], all[&o.ClientCertificateKeyFile], all[&o.TLSConfig.KeyFile] = &o.ClientSecret, &o.ClientCertificateKey, &o.TLSConfig.Key
	}
	return all
}

// checkHeaders refuses a header that is in headers and in http_headers too.
func (e *entry) checkHeaders(v *yamltree.Value) {
	plain, files := v.Get("headers"), v.Get("http_headers")
	if plain == nil || files == nil {
		return
	}
	before := make(map[string]string)
	for _, f := range plain.Value.Fields {
		before[http.CanonicalHeaderKey(f.Key)] = f.Key
	}
	for _, f := range files.Value.Fields {
		if name, twice := before[http.CanonicalHeaderKey(f.Key)]; twice {
			e.fail(f.Line, "keep one of the two", "http_headers: %q is one name with %q of headers", f.Key, name)
		}
	}
}

// checkClearText refuses to send secrets to another machine for all to read.
func (u *UploadRemoteWrite) checkClearText(e *entry, v *yamltree.Value) {
	refuse := func(f *yamltree.Field, text string) {
		if to, err := url.Parse(text); err == nil && to.Scheme == "http" && !u.Insecure && !IsLoopback(to.Hostname()) {
			e.fail(f.Line, "use https, or set insecure: true", "%s %q would send secrets in clear text", f.Key, text)
		}
	}
	if u.HTTP.OAuth2 != nil || u.HTTP.BasicAuth != (BasicAuth{}) || slices.ContainsFunc(u.SecretFiles(), func(file string) bool { return file != u.HTTP.TLS.KeyFile }) {
		refuse(v.Get("url"), u.URL)
	}
	if o := u.HTTP.OAuth2; o != nil {
		refuse(v.Get("oauth2").Value.Get("token_url"), o.TokenURL)
	}
}

// SecretFiles are the files that it reads secrets from, and the variables that stand for such.
func (u *UploadRemoteWrite) SecretFiles() []string {
	h := &u.HTTP
	all := []string{h.BasicAuth.PasswordFile, h.Authorization.CredentialsFile, h.BearerTokenFile, h.TLS.KeyFile}
	if o := h.OAuth2; o != nil {
		all = append(all, o.ClientSecretFile, o.ClientCertificateKeyFile, o.TLS.KeyFile)
	}
	for _, name := range slices.Sorted(maps.Keys(h.HTTPHeaders)) {
		all = append(all, h.HTTPHeaders[name].Files...)
	}
	return slices.DeleteFunc(all, func(file string) bool { return file == "" })
}

// Files are all that it reads, those of its secrets too.
func (u *UploadRemoteWrite) Files() []string {
	all := append(u.SecretFiles(), u.HTTP.BasicAuth.UsernameFile, u.HTTP.TLS.CAFile, u.HTTP.TLS.CertFile)
	if o := u.HTTP.OAuth2; o != nil {
		all = append(all, o.TLS.CAFile, o.TLS.CertFile)
	}
	return slices.DeleteFunc(all, func(file string) bool { return file == "" })
}

func (b *BasicAuth) finish(e *entry, f yamltree.Field, clean bool) {
	if clean && *b == (BasicAuth{}) {
		e.fail(f.Line, "give it a username and a password_file", "has no user")
	}
}

func (a *Authorization) finish(e *entry, f yamltree.Field, clean bool) {
	if clean && a.CredentialsFile == "" {
		e.fail(f.Line, "name a file that holds the credentials, not readable by others", "has no credentials_file")
	}
}

func (t *TLSClient) finish(e *entry, f yamltree.Field, clean bool) {
	switch cert := t.Cert != "" || t.CertFile != ""; {
	case !clean || cert == (t.KeyFile != ""):
	case cert:
		e.fail(f.Line, "name the file of its key", "has a certificate and no key_file")
	default:
		e.fail(f.Line, "name the file of its certificate", "has a key_file and no cert_file")
	}
}

func (h *HTTPHeader) finish(e *entry, f yamltree.Field, clean bool) {
	for _, text := range h.Values {
		if p := checkHeaderForm(f.Key, text); p != nil {
			e.fail(f.Value.Get("values").Line, p.Remedy, "%s", p.Text)
		}
	}
	if clean && len(h.Values)+len(h.Files) == 0 {
		e.fail(f.Line, "give it values or files", "has no value")
	}
}

func (r *RelabelRule) finish(e *entry, f yamltree.Field, clean bool) {
	if _, err := r.config(); clean && err != nil {
		e.failAbout(f.Value, err)
	}
}

// config is the rule as Prometheus's own package reads it.
func (r *RelabelRule) config() (*relabel.Config, error) {
	c := new(relabel.Config)
	if err := decodeAs(r, c); err != nil {
		return nil, err
	}
	return c, c.Validate(model.UTF8Validation)
}

// failAbout reports what another package says of a map, in the line of the last of the
// keys in it that the package names.
func (e *entry) failAbout(v *yamltree.Value, err error) {
	words := strings.FieldsFunc(err.Error(), func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	remedy := ""
	if strings.HasPrefix(err.Error(), "at most one of") {
		remedy = "keep one"
	}
	e.fail(cmp.Or(lastNamed(v, words), v.Line), remedy, "%v", err)
}

// lastNamed is the line of the last of the keys in a map, and in the maps in it, that are
// among words; 0 where none is.
func lastNamed(v *yamltree.Value, words []string) (line int) {
	for _, f := range v.Fields {
		if slices.Contains(words, f.Key) {
			line = max(line, f.Line)
		}
		line = max(line, lastNamed(f.Value, words))
	}
	return line
}
