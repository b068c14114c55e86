package config

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/relabel"

	"scriptbridge/config/internal/yamltree"
)

// remoteWrite loads destinations, as items of the list in lines of their own.
func remoteWrite(t *testing.T, items string) *Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scriptbridge.yml")
	if err := os.WriteFile(file, []byte("scripts: [{command: a}]\nupload:\n  remote_write:\n"+items), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(testDialects, file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestRemoteWriteNames(t *testing.T) {
	cfg := remoteWrite(t, "  - {url: https://a}\n  - {url: https://a, name: b}\n\n  - {url: https://a, name: remote_write}\n")
	var names []string
	at := make(map[string]int)
	for _, u := range cfg.Upload.RemoteWrite {
		names = append(names, u.UploadName())
		at[u.UploadName()] = cfg.At["upload."+u.UploadName()].Line
	}
	if want := []string{"remote_write", "remote_write_b", "remote_write_remote_write"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if want := map[string]int{"remote_write": 4, "remote_write_b": 5, "remote_write_remote_write": 7}; !maps.Equal(at, want) {
		t.Errorf("got %v, want %v", at, want)
	}
	if cfg.Upload.None() || !remoteWrite(t, "").Upload.None() {
		t.Error("a destination is an upload, and an empty list is none")
	}
}

// Every key that Prometheus's packages have is read here too, but for those that name a
// secret manager, and what is read here is known there.
func TestRemoteWriteHasAllKeys(t *testing.T) {
	var theirs func(of reflect.Type, prefix string) []string
	theirs = func(of reflect.Type, prefix string) (all []string) {
		for of.Kind() != reflect.Struct {
			if of.Kind() == reflect.Map {
				prefix = strings.TrimSuffix(prefix, ".") + "[]."
			}
			if kind := of.Kind(); kind != reflect.Pointer && kind != reflect.Slice && kind != reflect.Map {
				return []string{strings.Trim(prefix, ".[]")}
			}
			of = of.Elem()
		}
		if of == reflect.TypeFor[promconfig.URL]() || of == reflect.TypeFor[relabel.Regexp]() {
			return []string{strings.Trim(prefix, ".[]")}
		}
		for i := range of.NumField() {
			name, rest, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ",")
			switch {
			case rest == "inline":
				all = append(all, theirs(of.Field(i).Type, prefix)...)
			case name != "" && name != "-" && !strings.HasSuffix(name, "_ref"):
				all = append(all, theirs(of.Field(i).Type, prefix+name+".")...)
			}
		}
		slices.Sort(all)
		return all
	}
	for _, one := range [][2]reflect.Type{
		{reflect.TypeFor[HTTPClient](), reflect.TypeFor[promconfig.HTTPClientConfig]()},
		{reflect.TypeFor[RelabelRule](), reflect.TypeFor[relabel.Config]()},
	} {
		var ours func(of reflect.Type, prefix string) []string
		ours = func(of reflect.Type, prefix string) (all []string) {
			for _, k := range keysOf(of) {
				inner, many := k.inner()
				switch {
				case inner != nil && many:
					all = append(all, ours(inner, prefix+k.name+"[].")...)
				case inner != nil:
					all = append(all, ours(inner, prefix+k.name+".")...)
				default:
					all = append(all, prefix+k.name)
				}
			}
			slices.Sort(all)
			return all
		}
		if diff := cmp.Diff(theirs(one[1], ""), ours(one[0], "")); diff != "" {
			t.Errorf("the keys of %s (-) and of %s (+):\n%s", one[1], one[0], diff)
		}
	}
}

// Files and SecretFiles have the files of all keys that name one.
func TestRemoteWriteFiles(t *testing.T) {
	u := &UploadRemoteWrite{HTTP: HTTPClient{OAuth2: new(OAuth2)}}
	if len(u.Files()) > 0 {
		t.Errorf("got %q of none", u.Files())
	}
	var all, secret []string
	var name func(v reflect.Value, prefix string)
	name = func(v reflect.Value, prefix string) {
		for _, k := range keysOf(v.Type()) {
			to := v.FieldByIndex(k.index)
			if to.Kind() == reflect.Pointer && to.Type().Elem().Kind() == reflect.Struct {
				to = to.Elem()
			}
			format := k.tag.Get("format")
			switch {
			case k.refused:
			case to.Kind() == reflect.Struct:
				name(to, prefix+k.name+".")
			case to.Type() == reflect.TypeFor[map[string]HTTPHeader]():
				h := new(HTTPHeader)
				name(reflect.ValueOf(h).Elem(), prefix+k.name+".")
				to.Set(reflect.ValueOf(map[string]HTTPHeader{"X-A": *h}))
			case format == "file" || format == "secret file":
				file := prefix + k.name
				if to.Kind() == reflect.Slice {
					to.Set(reflect.ValueOf([]string{file}))
				} else {
					to.SetString(file)
				}
				all = append(all, file)
				if format == "secret file" {
					secret = append(secret, file)
				}
			}
		}
	}
	name(reflect.ValueOf(u).Elem(), "")
	if len(secret) < 8 {
		t.Fatalf("only %q were found", secret)
	}
	for _, one := range []struct{ got, want []string }{{u.Files(), all}, {u.SecretFiles(), secret}} {
		slices.Sort(one.got)
		slices.Sort(one.want)
		if diff := cmp.Diff(one.want, one.got); diff != "" {
			t.Errorf("got (+), want (-):\n%s", diff)
		}
	}
}

// Each change of a destination is seen, and where it stands is none. What its keys are
// written as makes the same one.
func TestRemoteWriteFingerprint(t *testing.T) {
	t.Setenv("BRIDGE_SECRET", "first")
	t.Setenv("BRIDGE_OTHER", "other")
	of := func(u *UploadRemoteWrite) string { return Fingerprint(u.Files(), u) }
	seen := make(map[string]string)
	for _, more := range []string{
		"", "name: a", "protobuf_message: prometheus.WriteRequest", "protobuf_message: io.prometheus.write.v2.Request", "remote_timeout: 1s", "interval: 1s", "max_age: 1h",
		"external_labels: {a: b}", "external_labels: {a: c}", "write_relabel_configs: [{action: labeldrop, regex: a}]", "write_relabel_configs: [{action: labeldrop, regex: b}]",
		"write_relabel_configs: [{action: labelkeep, regex: b}]", "write_relabel_configs: [{target_label: b}]", `write_relabel_configs: [{target_label: b, regex: ""}]`,
		`write_relabel_configs: [{target_label: b, replacement: ""}]`, `write_relabel_configs: [{target_label: b, separator: ""}]`, "headers: {a: b}", "headers: {a: c}", "insecure: true",
		"spool: {max_bytes: 1MiB}", "basic_auth: {username: a}", "basic_auth: {username_file: /none/a}", "basic_auth: {username: a, password_file: /none/a}", "authorization: {credentials_file: /none/a}",
		"authorization: {credentials_file: /none/a, type: b}", "bearer_token_file: /none/a", `bearer_token_file: "${env:BRIDGE_SECRET}"`, `bearer_token_file: "${env:BRIDGE_OTHER}"`,
		"oauth2: {client_id: a, token_url: https://a}", "oauth2: {client_id: a, token_url: https://a, claims: {a: b}}", "oauth2: {client_id: a, token_url: https://a, claims: {a: [c]}}",
		`oauth2: {client_id: a, token_url: https://a, endpoint_params: {a: "${env:BRIDGE_SECRET}"}}`, `oauth2: {client_id: a, token_url: https://a, endpoint_params: {a: "${env:BRIDGE_OTHER}"}}`,
		"tls_config: {ca: a}", "tls_config: {insecure_skip_verify: true}", "tls_config: {min_version: TLS13}", "follow_redirects: true", "follow_redirects: false", "enable_http2: false",
		"proxy_url: http://a", "proxy_from_environment: true", `proxy_url: http://a, proxy_connect_header: {a: "${env:BRIDGE_SECRET}"}`, `proxy_url: http://a, proxy_connect_header: {a: "${env:BRIDGE_OTHER}"}`,
		"http_headers: {a: {values: [b]}}", "http_headers: {a: {values: [c]}}", "http_headers: {a: {files: [/c]}}", `http_headers: {a: {files: ["${env:BRIDGE_SECRET}"]}}`,
	} {
		item := "{url: https://a, " + more + "}"
		u := remoteWrite(t, "  - "+item+"\n").Upload.RemoteWrite[0]
		f := of(u)
		if other, ok := seen[f]; ok {
			t.Errorf("%q is like %q", more, other)
		}
		seen[f] = more
		if again := remoteWrite(t, "\n\n  - "+item+"\n").Upload.RemoteWrite[0]; of(again) != f {
			t.Errorf("%q is another one in another line", more)
		}
		text := "  - " + strings.ReplaceAll(strings.TrimSpace(yamltree.Render(written(reflect.ValueOf(u).Elem()), false)), "\n", "\n    ") + "\n"
		again := remoteWrite(t, text).Upload.RemoteWrite[0]
		if of(again) != f || again.Client.String() != u.Client.String() {
			t.Errorf("%q is another one as it is written:\n%s", more, text)
		}
	}
	u := remoteWrite(t, `  - {url: https://a, bearer_token_file: "${env:BRIDGE_SECRET}"}`+"\n").Upload.RemoteWrite[0]
	f := of(u)
	t.Setenv("BRIDGE_SECRET", "second")
	if of(u) == f {
		t.Error("another value of a variable makes no difference")
	}
}

// A signed token has claims as JSON.
func TestRemoteWriteClaims(t *testing.T) {
	u := remoteWrite(t, "  - {url: https://a, oauth2: {client_id: a, token_url: https://a, claims: {a: [1.50, {b: {c: true}}]}}}\n").Upload.RemoteWrite[0]
	if text, err := json.Marshal(u.Client.OAuth2.Claims); err != nil || string(text) != `{"a":[1.50,{"b":{"c":true}}]}` {
		t.Errorf("%s, %v", text, err)
	}
}

// What a variable holds is the secret, as if it were read from a file.
func TestRemoteWriteSecretsOfVariables(t *testing.T) {
	t.Setenv("BRIDGE_SECRET", "secret\n")
	for item, of := range map[string]func(c *promconfig.HTTPClientConfig) (file string, secret promconfig.Secret){
		"basic_auth: {username: a, password_file: X}": func(c *promconfig.HTTPClientConfig) (string, promconfig.Secret) {
			return c.BasicAuth.PasswordFile, c.BasicAuth.Password
		},
		"authorization: {credentials_file: X}": func(c *promconfig.HTTPClientConfig) (string, promconfig.Secret) {
			return c.Authorization.CredentialsFile, c.Authorization.Credentials
		},
		"bearer_token_file: X": func(c *promconfig.HTTPClientConfig) (string, promconfig.Secret) {
			return c.Authorization.CredentialsFile, c.Authorization.Credentials
		},
		"oauth2: {client_id: a, token_url: https://a, client_secret_file: X}": func(c *promconfig.HTTPClientConfig) (string, promconfig.Secret) {
			return c.OAuth2.ClientSecretFile, c.OAuth2.ClientSecret
		},
		"oauth2: {client_id: a, token_url: https://a, client_certificate_key_file: X}": func(c *promconfig.HTTPClientConfig) (string, promconfig.Secret) {
			return c.OAuth2.ClientCertificateKeyFile, c.OAuth2.ClientCertificateKey
		},
		"oauth2: {client_id: a, token_url: https://a, tls_config: {cert: a, key_file: X}}": func(c *promconfig.HTTPClientConfig) (string, promconfig.Secret) {
			return c.OAuth2.TLSConfig.KeyFile, c.OAuth2.TLSConfig.Key
		},
		"tls_config: {cert: a, key_file: X}": func(c *promconfig.HTTPClientConfig) (string, promconfig.Secret) {
			return c.TLSConfig.KeyFile, c.TLSConfig.Key
		},
		"http_headers: {A: {files: [X]}}": func(c *promconfig.HTTPClientConfig) (string, promconfig.Secret) {
			h := c.HTTPHeaders.Headers["A"]
			return strings.Join(h.Files, " "), h.Secrets[0]
		},
	} {
		item = strings.ReplaceAll(item, "X", `"${env:BRIDGE_SECRET}"`)
		u := remoteWrite(t, "  - {url: https://a, "+item+"}\n").Upload.RemoteWrite[0]
		if file, secret := of(&u.Client); file != "" || secret != "secret" {
			t.Errorf("%s: the file is %q, the secret %q", item, file, string(secret))
		}
	}
}
