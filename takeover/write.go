package takeover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"scriptbridge/config"
	"scriptbridge/internal/texts"
	"scriptbridge/takeover/host"
)

// header begins the file.
const header = `# Written by scriptbridge init, out of what other tools on this machine are
# configured with. Nothing of them was changed and nothing was run: what they still
# run themselves runs twice.
#
# scriptbridge check looks for mistakes, scriptbridge try runs each script once.
# An entry that is commented out has the reason above it.
`

// composer writes the file, and knows which entry each of its lines is of.
type composer struct {
	strings.Builder
	owners []*entry
}

// line writes one line of an entry, or of none.
func (c *composer) line(of *entry, indent, text string) {
	c.WriteString(strings.TrimRight(indent+text, " ") + "\n")
	c.owners = append(c.owners, of)
}

// comment writes a text as comments of some width.
func (c *composer) comment(indent, text string) {
	const width = 96
	line := "#"
	for word := range strings.FieldsSeq(host.OneLine(text)) {
		if len(indent)+len(line)+len(word) >= width && line != "#" {
			c.line(nil, indent, line)
			line = "#"
		}
		line += " " + word
	}
	c.line(nil, indent, line)
}

func write(all []*finding) string {
	text, _ := compose(all)
	return text
}

// compose writes the configuration, and tells of each of its lines to which entry
// it belongs.
func compose(all []*finding) (text string, owners []*entry) {
	c := new(composer)
	for line := range strings.Lines(header) {
		c.line(nil, "", strings.TrimSuffix(line, "\n"))
	}
	c.section("scripts", all, scripts)
	c.section("discover", all, discover)
	c.section("receive", all, statsd, collectd)
	c.notTaken(all)
	return c.String(), c.owners
}

// section writes a key of the configuration and what stands beneath it.
func (c *composer) section(key string, all []*finding, sections ...string) {
	begun := false
	for _, f := range all {
		first := true
		for _, e := range f.entries {
			if !slices.Contains(sections, e.section) {
				continue
			}
			if !begun {
				c.line(nil, "", "")
				c.line(nil, "", key+":")
				begun = true
			} else if first || !e.offer {
				c.line(nil, "", "")
			}
			if first {
				c.comment("  ", "--- "+f.tool.Title+" ---")
				if e.offer {
					c.comment("  ", "No configuration that was found runs these. Remove the # of those that you want, and give them arguments: each lists its own with --help.")
				}
				first = false
			}
			c.entry(e)
		}
	}
}

// entry writes an entry with what there is to say of it.
func (c *composer) entry(e *entry) {
	if e.offer {
		c.line(nil, "  ", "# - "+flow(e.value))
		return
	}
	c.comment("  ", e.at.String())
	for _, note := range e.notes {
		c.comment("  ", note)
	}
	mark := ""
	if e.refused != "" {
		mark = "# "
		c.comment("  ", "Not taken over: "+cmp.Or(e.name, e.what, e.section)+": "+e.refused)
		if len(e.value.Fields) == 0 {
			return
		}
	}
	var of *entry
	if mark == "" {
		of = e
	}
	first, rest := "- ", "  "
	if e.section == statsd || e.section == collectd {
		c.line(of, "  ", mark+e.section+":")
		first, rest = "  ", "  "
	}
	for line := range strings.Lines(config.RenderYAML(e.value)) {
		c.line(of, "  ", mark+first+strings.TrimSuffix(line, "\n"))
		first = rest
	}
}

// flow writes a map in one line.
func flow(v *config.Value) string {
	var parts []string
	for line := range strings.Lines(config.RenderYAML(v)) {
		parts = append(parts, strings.TrimSuffix(line, "\n"))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// notTaken ends the file.
func (c *composer) notTaken(all []*finding) {
	begun := false
	for _, f := range all {
		if len(f.skipped) == 0 {
			continue
		}
		if !begun {
			c.line(nil, "", "")
			c.line(nil, "", "# --- Not taken over ---")
			begun = true
		}
		c.line(nil, "", "#")
		c.line(nil, "", "# "+f.tool.Title+":")
		for _, l := range f.skipped {
			c.comment("", fmt.Sprintf("%s: %s", l.at, l.text))
		}
	}
}

// Report is a summary for the terminal.
func (r *Result) Report() string {
	var b strings.Builder
	for _, s := range r.Tools {
		fmt.Fprintf(&b, "%s: %d taken over, %d not", s.Title, s.Taken, len(s.Skipped))
		if s.Offered > 0 {
			fmt.Fprintf(&b, ", %d listed as comments", s.Offered)
		}
		if len(s.Files) > 0 {
			fmt.Fprintf(&b, " (%s)", texts.Shorten(strings.Join(s.Files, ", "), 200))
		}
		b.WriteByte('\n')
		for _, text := range s.Skipped {
			fmt.Fprintf(&b, "  %s\n", host.OneLine(text))
		}
	}
	return b.String()
}
