package testkit

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What a Doomed child finds in its environment.
const (
	doomedFolder = "SCRIPTBRIDGE_TEST_CRASH_FOLDER"
	doomedURL    = "SCRIPTBRIDGE_TEST_CRASH_URL"
	doomedFrom   = "SCRIPTBRIDGE_TEST_CRASH_FROM"
)

// Doomed is a child of a test that is killed in the midst of its work: the test binary
// again, which runs the one test that calls Doom.
type Doomed struct {
	Folder, URL string
	From        int // what it begins at; -1: it only ends what is there
}

// Doom gives what the child has to do. It skips a test that is not run as one.
func Doom(t *testing.T) Doomed {
	t.Helper()
	d := Doomed{Folder: os.Getenv(doomedFolder), URL: os.Getenv(doomedURL)}
	if d.Folder == "" {
		t.Skip("part of another test")
	}
	var err error
	if d.From, err = strconv.Atoi(os.Getenv(doomedFrom)); err != nil {
		t.Fatal(err)
	}
	return d
}

// Run runs the child, a test of that name, until it ends, or kills it so long after it
// has done its first piece of work. The child prints the number of each piece when that
// is done; Run gives the last one.
func (d Doomed) Run(t *testing.T, test string, life time.Duration) (last int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^"+test+"$") //nolint:gosec // this very binary
	child.Env = append(os.Environ(), doomedFolder+"="+d.Folder, doomedURL+"="+d.URL, fmt.Sprint(doomedFrom, "=", d.From))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	last = d.From - 1
	lines := bufio.NewScanner(out)
	var told []string // beside numbers: what a test binary says
	killed := false
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			told = append(told, lines.Text())
			continue
		}
		last = n
		if n == d.From {
			killed = true
			time.AfterFunc(life, func() { _ = child.Process.Kill() }) // it may have ended
		}
	}
	if err := child.Wait(); (err != nil) != killed {
		t.Fatalf("the child ended by itself: %v\n%s", err, strings.Join(told, "\n"))
	}
	return last
}
