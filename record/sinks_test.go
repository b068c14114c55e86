package record

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// No sink looks at a source's name: what it must know of one is in Source and
// Meta.
func TestSinksAskNoNames(t *testing.T) {
	isName := func(e ast.Expr) bool {
		name, ok := e.(*ast.SelectorExpr)
		if !ok || name.Sel.Name != "Name" {
			return false
		}
		switch of := name.X.(type) {
		case *ast.SelectorExpr:
			return strings.EqualFold(of.Sel.Name, "source") || of.Sel.Name == "def"
		case *ast.Ident:
			return strings.EqualFold(of.Name, "source") || of.Name == "def"
		}
		return false
	}
	isText := func(e ast.Expr) bool {
		text, ok := e.(*ast.BasicLit)
		return ok && text.Kind == token.STRING
	}
	files := 0
	for _, sink := range []string{"../collector", "../upload"} {
		err := filepath.WalkDir(sink, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BinaryExpr:
					if (n.Op == token.EQL || n.Op == token.NEQ) && (isName(n.X) && isText(n.Y) || isText(n.X) && isName(n.Y)) {
						t.Errorf("%s compares a source's name", set.Position(n.Pos()))
					}
				case *ast.SwitchStmt:
					if n.Tag != nil && isName(n.Tag) {
						t.Errorf("%s goes by a source's name", set.Position(n.Pos()))
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 20 {
		t.Errorf("only %d files were looked at", files)
	}
}
