// Package dialecttest has what the tests of dialects share: ends of processes, and
// texts of what a parser made.
package dialecttest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/record"
	"scriptbridge/script/process"
)

// Says is the end of a process that printed text and exited with 0.
func Says(text string) func() *process.Outcome {
	return func() *process.Outcome {
		return &process.Outcome{Result: record.OK, Stdout: []byte(text), End: time.Now()}
	}
}

// Fails is one that ended with a result and a code other than 0.
func Fails(result record.Result, code int, text string) func() *process.Outcome {
	return func() *process.Outcome {
		return &process.Outcome{Result: result, ExitCode: code, Stdout: []byte(text), End: time.Now(), Err: fmt.Errorf("it ended with %s", result)}
	}
}

// Reasons lists what was refused: "undeclared:3 no_value:4". It fails what is
// no LineError.
func Reasons(err error) string {
	var all []string
	for _, le := range record.LineErrors(err) {
		one := fmt.Sprintf("%s:%d", le.Reason, le.Line)
		if le.More > 0 {
			one += fmt.Sprintf("+%d", le.More)
		}
		all = append(all, one)
	}
	if err != nil && len(all) == 0 {
		return "not lines: " + err.Error()
	}
	return strings.Join(all, " ")
}

// Exits is the end of a process that ended by itself, as package process tells it.
func Exits(code int, stdout, stderr string) *process.Outcome {
	o := &process.Outcome{ExitCode: code, Stdout: []byte(stdout), Stderr: []byte(stderr), Result: record.OK}
	if code != 0 {
		o.Result, o.Err = record.Error, fmt.Errorf("exited with code %d", code)
	}
	return o
}

// UnpackTxtar writes an archive's files into a fresh folder.
func UnpackTxtar(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(text)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// DumpMeta shows a metric.
func DumpMeta(b *strings.Builder, m *record.Meta) {
	fmt.Fprintf(b, "metric %s %q %s %s %s", m.ID, m.Name, map[record.Type]string{record.Gauge: "gauge", record.Counter: "counter"}[m.Type], m.Datatype, m.Calctype)
	DumpIf(b, "help", m.Help)
	DumpIf(b, "unit", m.Unit)
	DumpIf(b, "groups", m.More().Groups)
	DumpIf(b, "tags", m.More().Tags)
	for _, d := range m.Dimensions {
		fmt.Fprintf(b, " by %q", d)
	}
	b.WriteString("\n")
}

// DumpIf shows a text that is there.
func DumpIf(b *strings.Builder, what, text string) {
	if text != "" {
		fmt.Fprintf(b, " %s %q", what, text)
	}
}

// DumpWarnings shows warnings.
func DumpWarnings(b *strings.Builder, all []string) {
	for _, w := range all {
		fmt.Fprintf(b, "warning: %s\n", w)
	}
}

// DumpErrors shows an error, and the lines that were refused.
func DumpErrors(b *strings.Builder, err error) {
	if err == nil {
		return
	}
	lines := record.LineErrors(err)
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) > len(lines) {
		text, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(b, "error: %s\n", text)
	}
	for _, le := range lines {
		fmt.Fprintf(b, "%d: refused, %s: %s [%s]\n", le.Line, le.Reason, le, bytes.ToValidUTF8([]byte(le.Text), []byte("?")))
	}
}
