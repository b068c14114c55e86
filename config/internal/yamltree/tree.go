// Package yamltree reads a YAML file into values that know their line (tree.go,
// value.go, plain.go), with bounds for what a file may hold (limits.go), and
// explains what is no YAML (syntax.go, excerpt.go). Everything that is wrong is
// found at once, each with its place and its remedy (error.go). render.go
// writes values as YAML.
package yamltree

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Value is one thing of a YAML file: aliases followed, merge keys (<<) merged,
// nothing of the parser left. An aliased value is shared, and never changed.
type Value struct {
	Line int   // where it stands; for an alias, where its anchor stands
	size int32 // scalars, lists and maps in it, aliases written out
	Kind Kind
	str  bool // a scalar that is a string, whatever it looks like
	// Anchored says that aliases may name it.
	Anchored bool
	// Text of a scalar: as written, or the text proper of a string.
	Text   string
	Items  []*Value
	Fields []Field
}

// Field is one key of a map, with the line of the key.
type Field struct {
	Key   string
	Line  int
	Value *Value
}

// Kind is what a value is.
type Kind uint8

// What a value can be.
const (
	Null Kind = iota
	Scalar
	List
	Map
)

// String says what a value is, as in "labels is a list".
func (k Kind) String() string {
	return [...]string{"empty", "a single value", "a list", "a map"}[k]
}

// Get gives the field named key, or nil.
func (v *Value) Get(key string) *Field {
	for i := range v.Fields {
		if v.Fields[i].Key == key {
			return &v.Fields[i]
		}
	}
	return nil
}

// maxSize bounds a value with its aliases written out: a dozen lines of
// aliases to aliases would otherwise fill the memory.
const maxSize = 100_000

// numberForm is what the parser takes for a text though it is a number to YAML:
// an integer that it cannot hold, an exponent without a point before it, or too
// large, and an infinity with a +.
var numberForm = regexp.MustCompile(`^[-+]?[1-9][0-9]*$|^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$|^\+\.(inf|Inf|INF)$`)

// builder makes values of the parser's nodes.
type builder struct {
	*Report
	file    string
	anchors map[string]*Value
	merged  int               // fields that << brought
	texts   map[string]string // those that there are, each of which is kept once
}

// text gives a text of the parser's, without what the parser has around it.
func (b *builder) text(s string) string {
	known, ok := b.texts[s]
	if !ok {
		known = strings.Clone(s)
		b.texts[known] = known
	}
	return known
}

// Parse reads one YAML document. What cannot be read at all gives an empty
// value and an error in r; duplicate keys and unknown aliases are errors too,
// and the rest is still read.
func Parse(r *Report, file string, data []byte) *Value {
	b := &builder{Report: r, file: file, anchors: make(map[string]*Value), texts: make(map[string]string)}
	empty := &Value{Line: 1, size: 1}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > maxFile {
		b.fail(0, "divide it, and name the parts under include", "has more than %d MiB", maxFile>>20)
		return empty
	}
	if line, column := notUTF8(data); line > 0 {
		what := "the text is not UTF-8"
		if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
			what, line = "the text is UTF-16", 1
		}
		b.fail(line, "save the file as UTF-8", "%s", what)
		if lines := strings.Split(strings.ToValidUTF8(string(data), "\ufffd"), "\n"); what == "the text is not UTF-8" {
			e := b.Errs[len(b.Errs)-1]
			e.Column, e.Excerpt = column, excerpt(lines, line, column)
		}
		return empty
	}
	all, line, problem := tokens(string(data))
	if problem != "" {
		b.fail(line, "", "%s", problem)
		return empty
	}
	lines := linesOf(data)
	if e := oddSpaces(all, lines); e != nil {
		b.Errs = append(b.Errs, e.located(file, lines))
		return empty
	}
	tree, err := parser.Parse(all, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		if e := foreign(lines); e != nil {
			b.Errs = append(b.Errs, e.located(file, lines))
			return empty
		}
		s := newSyntaxError(lines, err)
		b.Errs = append(b.Errs, &Error{
			Position: Position{File: b.file, Line: s.line}, Column: s.column, Thing: s.thing(),
			Problem: s.problem, Remedy: s.remedy, Quoted: s.quoted, Excerpt: excerpt(s.lines, s.line, s.column),
		})
		return empty
	}
	root := empty
	for _, doc := range tree.Docs {
		switch {
		case doc.Body == nil:
		case root != empty:
			b.fail(lineOf(doc.Body), "keep one", "there is more than one document")
			return root
		default:
			root = b.build(doc.Body)
		}
	}
	return root
}

// Bounded says that a text goes beyond what a file may hold, before another parser
// than this one reads it.
func Bounded(file string, data []byte) error {
	var r Report
	b := &builder{Report: &r, file: file}
	if len(data) > maxFile {
		b.fail(0, "", "has more than %d MiB", maxFile>>20)
	} else if _, line, problem := tokens(string(bytes.ToValidUTF8(data, nil))); problem != "" {
		b.fail(line, "", "%s", problem)
	}
	return r.Join(nil)
}

// linesOf are the lines of a text, without their ends.
func linesOf(text []byte) []string {
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// oneLine makes the parser's message one line: it names tabs as they are.
func oneLine(message string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(message, "\t", `\t`)), " ")
}

// notUTF8 is where the first thing stands that is not UTF-8, in runes; 0 for
// nowhere.
func notUTF8(data []byte) (line, column int) {
	if utf8.Valid(data) {
		return 0, 0
	}
	for l := range bytes.Lines(data) {
		line++
		for column = 1; len(l) > 0; column++ {
			r, size := utf8.DecodeRune(l)
			if r == utf8.RuneError && size == 1 {
				return line, column
			}
			l = l[size:]
		}
	}
	return line, column
}

func (b *builder) fail(line int, remedy, format string, args ...any) {
	b.Errs = append(b.Errs, &Error{
		Position: Position{File: b.file, Line: line},
		Problem:  fmt.Sprintf(format, args...),
		Remedy:   remedy,
	})
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func (b *builder) build(n ast.Node) *Value {
	if n == nil {
		return &Value{size: 1}
	}
	v := &Value{Line: lineOf(n), size: 1}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		v.Kind, v.Text, v.str = Scalar, b.text(n.Value), true
		plain := n.Token.Type == token.StringType
		v.str = !plain || !numberForm.MatchString(n.Value)
		if plain && enclosed(n.Value) != "" {
			b.Warn(Position{b.file, v.Line}, "", `write " in their place, or put " around them too if they are meant`, "the curly quotes are part of the value")
		}
	case *ast.LiteralNode:
		v.Kind, v.Text, v.str = Scalar, b.text(n.Value.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		v.Kind, v.Text = Scalar, b.text(strings.TrimSpace(n.GetToken().Value))
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		if first := b.anchors[name]; first != nil {
			b.Warn(Position{b.file, v.Line}, "", "", "the anchor &%s is in line %d already; from here on *%[1]s means this one", name, first.Line)
		}
		v = b.build(n.Value)
		v.Anchored = true
		b.anchors[name] = v
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		anchor, ok := b.anchors[name]
		if !ok {
			b.fail(v.Line, "put the value in quotes if the * is part of it", "*%s has no anchor &%s before it", name, name)
			return v
		}
		return anchor
	case *ast.TagNode:
		return b.tagged(n)
	case *ast.SequenceNode:
		v.Kind = List
		v.Items = make([]*Value, 0, len(n.Values))
		for _, item := range n.Values {
			v.Items = append(v.Items, b.build(item))
		}
	case *ast.MappingNode:
		b.pairs(v, n.Values)
	case *ast.MappingValueNode:
		b.pairs(v, []*ast.MappingValueNode{n})
	default:
		b.fail(v.Line, "put it in quotes if it is meant as text", "%s is not allowed here", strings.ToLower(n.Type().YAMLName()))
	}
	return b.measured(v)
}

// tagged reads the one tag that makes sense here: !!str.
func (b *builder) tagged(n *ast.TagNode) *Value {
	v := b.build(n.Value)
	if tag := n.GetToken().Value; tag != "!!str" {
		b.fail(lineOf(n), "leave it out", "the tag %s is not read", tag)
		return v
	}
	if v.Kind == Scalar {
		text := *v // a copy, for an anchor may hold v
		text.str = true
		return &text
	}
	return v
}

// pairs reads those of a map. A merge key gives what the map itself does
// not say; of several merged maps the earlier one wins.
func (b *builder) pairs(v *Value, pairs []*ast.MappingValueNode) {
	v.Kind = Map
	seen := make(map[string]int)
	v.Fields = make([]Field, 0, len(pairs))
	var merged []*Value
	for _, pair := range pairs {
		line := lineOf(pair.Key)
		if pair.Key.IsMergeKey() {
			m := b.build(pair.Value)
			if m.Kind == List {
				merged = append(merged, m.Items...)
			} else {
				merged = append(merged, m)
			}
			continue
		}
		key, ok := keyText(pair.Key)
		if !ok {
			b.fail(line, "put it in quotes", "a key must be a plain text")
			continue
		}
		val := b.build(pair.Value)
		if first, again := seen[key]; again {
			b.fail(line, "keep one", "the key %q is in line %d already", key, first)
			continue
		}
		seen[key] = line
		v.Fields = append(v.Fields, Field{b.text(key), line, val})
	}
	for _, m := range merged {
		switch {
		case m.Kind != Map:
			b.fail(v.Line, "name the anchor of a map, as in <<: *defaults", "<< merges %s, not a map", m.Kind)
			continue
		case b.merged > maxSize: // reported already
			continue
		}
		if b.merged += len(m.Fields); b.merged > maxSize {
			b.fail(v.Line, "merge smaller maps", "<< merges more than %d values", maxSize)
			continue
		}
		for _, f := range m.Fields {
			if _, ok := seen[f.Key]; !ok {
				seen[f.Key] = f.Line
				v.Fields = append(v.Fields, f)
			}
		}
	}
}

func keyText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return strings.TrimSpace(n.GetToken().Value), true
	case *ast.MappingKeyNode:
		return keyText(n.Value)
	}
	return "", false
}

// measured fills in v's size, and empties what is too large.
func (b *builder) measured(v *Value) *Value {
	v.size = 1
	for _, item := range v.Items {
		v.size += item.size
	}
	for _, f := range v.Fields {
		v.size += f.Value.size
	}
	if v.size > maxSize {
		b.fail(v.Line, "use fewer aliases of aliases", "holds more than %d values, aliases written out", maxSize)
		return &Value{Line: v.Line, size: 1}
	}
	return v
}
