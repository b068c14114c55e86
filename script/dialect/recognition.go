package dialect

import "scriptbridge/script/process"

// Recognizer is a dialect that can be told from others: for `try` without
// --dialect, and to say which dialect may be meant where a script does not speak
// the one that is configured.
type Recognizer interface {
	Recognition() Recognition
}

// Recognition is what tells a dialect. Whatever of it is zero tells nothing.
type Recognition struct {
	// Folders are those in which its scripts lie, as the ends of paths with
	// slashes.
	Folders []string
	// FilePrefix is what the names of its scripts begin with.
	FilePrefix string
	// Text looks at the beginning of a script's own text.
	Text func(text []byte) Clue
	// Output looks at a run of the command as it stands, with no argument.
	Output func(o *process.Outcome) Clue
	// IsCertain reports whether an output is one that Output is Certain of. It
	// costs next to nothing where it is not, since it is asked of every run.
	IsCertain func(out []byte) bool
	// Argument is one that such scripts know and that Answer looks at the run
	// with. It is given last: a script may take it for something else.
	Argument string
	Answer   func(o *process.Outcome) Clue
	// IsOwn reports of what a script of this dialect printed that it is
	// written for it, whatever else it looks like.
	IsOwn func(out []byte) bool
}

// Clue speaks for a dialect. The zero value is none.
type Clue struct {
	Strength Strength
	Why      string // a clause to follow `since`
}

// Strength orders the clues that several dialects find in the same text or run:
// the strongest counts.
type Strength int

// The strengths of clues.
const (
	Weak    Strength = 1 + iota // it may be anything
	Faint                       // a habit of the dialect
	Fair                        // what others may do too
	Good                        // what hardly anybody else does
	Strong                      // the dialect's own words
	Certain                     // nothing else looks like it
)
