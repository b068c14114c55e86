package texts

import "testing"

func TestFromCodePage(t *testing.T) {
	for _, c := range []struct {
		page       uint32
		text, want string
	}{
		{437, "Gr\x94\xe1e 5\xf8", "Größe 5°"},
		{850, "\x84\x94\x81\xd5", "äöüı"},
		{866, "\x8f\xe0\xa8\xa2\xa5\xe2", "Привет"},
		{932, "\x93\xfa\x96\x7b", "日本"},
		{1252, "\x80 \xfc", "€ ü"},
	} {
		if got := string(fromCodePage(c.page, []byte(c.text))); got != c.want {
			t.Errorf("code page %d: %q, want %q", c.page, got, c.want)
		}
	}
	// A NUL ends nothing, and loses no line.
	if got := string(FromConsole([]byte("\x81\x00x\r\nb\n"))); got != "ü\x00x\r\nb\n" {
		t.Errorf("%q", got)
	}
	if got := string(FromConsole([]byte("ü\r\nplain\n\x81x\r\n"))); got != "ü\r\nplain\nüx\r\n" { // \x81 is ü in 437 and 850
		t.Errorf("%q", got)
	}
}
