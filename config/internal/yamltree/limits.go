package yamltree

import (
	"fmt"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// What a file may hold. The parser's time and memory grow with the square of the
// depth and of the keys of one map, and its stack with the depth: without these
// bounds a few kilobytes would be the end of the process.
const (
	maxFile      = 2 << 20 // bytes
	maxDepth     = 100     // of maps and lists in one another, as they are written
	maxKeys      = 10_000  // of one map, or items of one list
	maxDocuments = 100     // of which one may hold something
)

// tokens cuts a text into tokens, and says in which line it goes beyond what a
// file may hold; problem is empty where it does not.
func tokens(text string) (all token.Tokens, line int, problem string) {
	all = lexer.Tokenize(text)
	var n nesting
	for i, t := range all {
		var before *token.Token
		if i > 0 {
			before = all[i-1]
		}
		if problem = n.add(before, t); problem != "" {
			return nil, t.Position.Line, problem
		}
	}
	return all, 0, ""
}

// nesting follows what is open at a token: an upper bound for the depth of what
// the parser will make of it.
type nesting struct {
	open []opened
	// prefixes are the tags and anchors in a row, each of which holds the next.
	prefixes  int
	documents int
}

// opened is a map or list that has begun.
type opened struct {
	flow   bool // in brackets
	List   bool
	column int // of a block's keys or dashes
	count  int // of its keys or dashes; in brackets, of its commas
}

// add follows one token, and says what there is too much of.
func (n *nesting) add(before, t *token.Token) string {
	switch {
	case t.Type == token.CommentType:
	case t.Type == token.TagType || t.Type == token.AnchorType:
		n.prefixes++
	case before == nil || before.Type != token.AnchorType: // or it is the anchor's name
		n.prefixes = 0
	}
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		n.open = append(n.open, opened{flow: true})
	case token.SequenceEndType, token.MappingEndType:
		n.endFlow()
	case token.SequenceEntryType:
		n.block(true, t.Position.Column)
	case token.MappingKeyType:
		n.block(false, t.Position.Column)
	case token.MappingValueType:
		if before != nil {
			t = before
		}
		n.block(false, t.Position.Column)
	case token.CollectEntryType:
		n.count()
	case token.DocumentHeaderType, token.DocumentEndType:
		n.open = nil
		n.documents++
	}
	return n.tooMuch()
}

// block is a key or a dash in some column. Within brackets columns mean nothing.
func (n *nesting) block(list bool, column int) {
	for len(n.open) > 0 {
		last := n.open[len(n.open)-1]
		switch {
		case last.flow:
			return
		case last.column == column && last.List == list:
			n.count()
			return
		case last.column < column, last.column == column && list:
			// A list may stand in the column of the key that it belongs to.
			n.open = append(n.open, opened{List: list, column: column, count: 1})
			return
		}
		n.open = n.open[:len(n.open)-1]
	}
	n.open = append(n.open, opened{List: list, column: column, count: 1})
}

func (n *nesting) count() {
	if len(n.open) > 0 {
		n.open[len(n.open)-1].count++
	}
}

// endFlow ends the brackets that were opened last.
func (n *nesting) endFlow() {
	for i := len(n.open) - 1; i >= 0; i-- {
		if n.open[i].flow {
			n.open = n.open[:i]
			return
		}
	}
}

func (n *nesting) tooMuch() string {
	if len(n.open)+n.prefixes > maxDepth {
		return fmt.Sprintf("maps and lists stand in one another more than %d deep", maxDepth)
	}
	if len(n.open) > 0 && n.open[len(n.open)-1].count > maxKeys {
		return fmt.Sprintf("a map or list has more than %d entries", maxKeys)
	}
	if n.documents > maxDocuments {
		return fmt.Sprintf("there are more than %d documents", maxDocuments)
	}
	return ""
}
