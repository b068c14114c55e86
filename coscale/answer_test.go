package coscale

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A 200 is read: what the other end did not take is told, and what is no answer
// of the API is no success.
func TestInsertDataAnswer(t *testing.T) {
	for _, c := range []struct{ body, err string }{
		{`{"msg":"1 point stored"}`, ""},
		{`{"msg":"2 points stored"}`, ""},
		{`{"msg":"2 points stored, 0 refused: "}`, ""},
		{`{"msg":"Thank you."}`, ""},
		{`{}`, "POST /api/v1/app/A/data/: 200 OK: the answer is not of this API: {}"},
		{`{"msg":"0 points stored, 1 refused: there is no metric 98"}`, "1 of 1 point refused: there is no metric 98"},
		{`{"msg":"1 point stored, 2 refused: the time 1\n is before 1973"}`, "2 of 3 points refused: the time 1 is before 1973"},
		{`{"msg":"12 points stored, 3 refused: "}`, "3 of 15 points refused: "},
		{`{"msg":"0 points stored, 1 refused: no \u001b[2J` + testSession + ` ` + strings.Repeat("x", 300) + `"}`,
			"1 of 1 point refused: no [2J<secret> " + strings.Repeat("x", 185) + "…"},
		{`<html>Welcome</html>`, "POST /api/v1/app/A/data/: 200 OK: the answer is not of this API: <html>Welcome</html>"},
		{``, "POST /api/v1/app/A/data/: 200 OK: the answer is not of this API: it is empty"},
	} {
		client, _ := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, c.body) })
		got := ""
		err := client.InsertData(t.Context(), []Data{{Metric: 98, Subject: "a", Points: []Point{{Value: 7}}}})
		if err != nil {
			got = err.Error()
		}
		if got != c.err {
			t.Errorf("%s: error %q, not %q", c.body, got, c.err)
		}
	}
}

// What the one end says of refused points the other end reads.
func FuzzStoredAnswer(f *testing.F) {
	f.Add(0, 1, "there is no metric 98")
	f.Add(1, 0, "")
	f.Add(3, 2, "1 point stored, 4 refused: \n")
	f.Fuzz(func(t *testing.T, points, refused int, why string) {
		if points < 0 || refused < 0 || points+refused < 0 {
			return
		}
		err := (&insertAnswer{Msg: storedText(points, refused, errors.New(why))}).refusedOf()
		var read *RefusedError
		if errors.As(err, &read) != (refused > 0) {
			t.Fatalf("%d refused, and the error is %v", refused, err)
		}
		if read != nil && (read.Stored != points || read.Refused != refused || strings.Contains(read.Reason, "\n")) {
			t.Errorf("read as %+v", *read)
		}
	})
}
