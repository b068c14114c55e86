package browser_test

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictures makes the README's pictures of the example configuration (-update), and
// pictures of many scripts (-pictures).
func TestPictures(t *testing.T) {
	if !*update && *pictures == "" {
		t.Skip("no picture is wanted: -update makes the README's, -pictures FOLDER those of many scripts")
	}
	browser := launch(t)
	if *update {
		t.Run("readme", func(t *testing.T) { pictureExamples(t, open(t, browser, look{width: 1280, height: 770})) })
	}
	if *pictures == "" {
		return
	}
	for _, n := range []int{200, 1000} {
		b := crowd(t, n)
		for _, l := range looks {
			p := open(t, browser, l)
			for name, path := range map[string]string{
				"home": "/", "failing": "/?state=failing", "fail": "/scripts/exits-003", "fine": "/scripts/fine-000", "critical": "/scripts/plugin-012",
			} {
				p.do(chromedp.Navigate(b.base + path))
				writePicture(t, p, filepath.Join(*pictures, fmt.Sprintf("%d-%s-%s.png", n, name, l)))
			}
		}
	}
}

func writePicture(t *testing.T, p *tab, file string) (size int) {
	t.Helper()
	raw, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&packed, picture); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return packed.Len()
}

// pictureExamples makes those in docs/.
func pictureExamples(t *testing.T, p *tab) {
	// A folder of its own, whose name the picture of a script shows.
	dir := filepath.Join(os.TempDir(), "scriptbridge")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	// As the README starts it.
	b := serve(t, filepath.Join(dir, "examples"), "scriptbridge.yml")
	// A few runs each, so that there is something to see.
	await(t, "the scripts to run", func() bool {
		return strings.Contains(b.get(t, "/metrics"), `scriptbridge_script_runs_total{script="features",result="ok"} 3`)
	})
	for file, path := range map[string]string{"status.png": "/", "script.png": "/scripts/features"} {
		p.do(chromedp.Navigate(b.base + path))
		if size := writePicture(t, p, filepath.Join("../../docs", file)); size > 200_000 {
			t.Errorf("docs/%s has %d bytes; 200,000 are the most", file, size)
		}
	}
}

// crowd is a bridge with many scripts in all states.
func crowd(t *testing.T, n int) bridge {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/everything")); err != nil {
		t.Fatal(err)
	}
	var config strings.Builder
	config.WriteString("global: {interval: 10m}\nscripts:\n")
	for i := range n {
		name := func(kind string) string { return fmt.Sprintf("%s-%03d", kind, i) }
		switch i % 25 {
		case 3:
			fmt.Fprintf(&config, "  - {name: %s, command: ./fail.sh refused}\n", name("exits"))
		case 7:
			fmt.Fprintf(&config, "  - {name: %s, command: ./coscale.sh lossy}\n", name("lossy"))
		case 11:
			fmt.Fprintf(&config, "  - {name: %s, command: ./coscale.sh fine, enabled: false}\n", name("off"))
		case 12, 13, 14, 15:
			state := i%25 - 11 // 1 warning, 2 critical, 3 unknown, 0 ok
			fmt.Fprintf(&config, "  - {name: %s, dialect: nagios, command: \"./plugin.sh %d 'DISK - %d%% of /srv/data used'\"}\n", name("plugin"), state%4, 60+i%40)
		case 17:
			fmt.Fprintf(&config, "  - {name: %s, dialect: prometheus, command: ./exposition.sh}\n", name("a-name-that-is-not-short-as-some-are"))
		case 19:
			fmt.Fprintf(&config, "  - {name: %s, dialect: prometheus, command: './asked.sh {target}', probe: true, parameters: {target: {pattern: '[a-z]+'}}}\n", name("asked"))
		default:
			fmt.Fprintf(&config, "  - {name: %s, command: ./coscale.sh fine}\n", name("fine"))
		}
	}
	file := filepath.Join(dir, "scriptbridge.yml")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := serve(t, dir, file, "--web.enable-lifecycle")
	b.ready(t)
	return b
}
