package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	yaml "github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"scriptbridge/status"
)

const openAPIFile = "docs/openapi.yaml"

// answerTypes are the documents of the API and of the commands.
var answerTypes = []reflect.Type{
	reflect.TypeFor[status.Overview](), reflect.TypeFor[status.Scripts](), reflect.TypeFor[status.OneScript](),
	reflect.TypeFor[status.Receivers](), reflect.TypeFor[status.OneReceiver](), reflect.TypeFor[status.Uploads](), reflect.TypeFor[status.OneUpload](),
	reflect.TypeFor[status.Failure](), reflect.TypeFor[status.Tried](), reflect.TypeFor[status.Checked](),
}

// TestSchemaOpenAPI holds the schemas in docs/openapi.yaml against the structs that
// answers are made of.
func TestSchemaOpenAPI(t *testing.T) {
	const mark = "\n  schemas:\n"
	head, _, ok := strings.Cut(read(t, openAPIFile), mark)
	if !ok {
		t.Fatal("it has no schemas")
	}
	s := answerSchemas{done: make(map[string]bool)}
	for _, of := range answerTypes {
		s.structure(of)
	}
	want := head + mark + s.text.String()
	if *update {
		write(t, openAPIFile, want, 0o644)
	}
	if read(t, openAPIFile) != want {
		t.Errorf("%s is not what package status says: go test . -run TestSchemaOpenAPI -update writes it", openAPIFile)
	}
}

// answerSchemas writes the schemas of structs.
type answerSchemas struct {
	text strings.Builder
	done map[string]bool
}

// structure writes the schema of a struct, and then those of the structs in it.
func (s *answerSchemas) structure(of reflect.Type) {
	if s.done[of.Name()] {
		return
	}
	s.done[of.Name()] = true
	var required []string
	var others []reflect.Type
	properties := new(strings.Builder)
	for _, f := range reflect.VisibleFields(of) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous {
			continue
		}
		if options == "" {
			required = append(required, name)
		}
		kind, structs := kindOf(f.Type)
		others = append(others, structs...)
		if words := f.Tag.Get("enum"); words != "" {
			kind += ", enum: [" + strings.Join(strings.Fields(words), ", ") + "]"
		}
		if doc := f.Tag.Get("doc"); doc != "" {
			kind += ", description: " + fmt.Sprintf("%q", doc)
		}
		fmt.Fprintf(properties, "        %s: {%s}\n", name, kind)
	}
	fmt.Fprintf(&s.text, "    %s:\n      type: object\n      required: [%s]\n      properties:\n%s", of.Name(), strings.Join(required, ", "), properties)
	for _, one := range others {
		s.structure(one)
	}
}

// kindOf is the schema of a value, without braces, and the structs in it.
func kindOf(of reflect.Type) (schema string, structs []reflect.Type) {
	if of == reflect.TypeFor[status.Number]() {
		return "type: [number, string]", nil
	}
	if of == reflect.TypeFor[time.Time]() {
		return "type: string, format: date-time", nil
	}
	switch of.Kind() {
	case reflect.Pointer:
		return kindOf(of.Elem())
	case reflect.Struct:
		return "$ref: '#/components/schemas/" + of.Name() + "'", []reflect.Type{of}
	case reflect.Slice:
		item, structs := kindOf(of.Elem())
		return "type: array, items: {" + item + "}", structs
	case reflect.Map:
		item, structs := kindOf(of.Elem())
		return "type: object, additionalProperties: {" + item + "}", structs
	case reflect.String:
		return "type: string", nil
	case reflect.Bool:
		return "type: boolean", nil
	case reflect.Float64:
		return "type: number", nil
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "type: integer", nil
	}
	panic(of.String())
}

// openAPI is the document, whose schemas take no member that they do not name: in
// answers of this version there is none.
func openAPI() (document object, schemas *jsonschema.Compiler, err error) {
	text, err := os.ReadFile(openAPIFile)
	if err == nil {
		text, err = yaml.YAMLToJSON(text)
	}
	if err == nil {
		err = json.Unmarshal(text, &document)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, one := range document["components"].(object)["schemas"].(object) {
		one.(object)["additionalProperties"] = false
	}
	schemas = jsonschema.NewCompiler()
	schemas.AssertFormat()
	return document, schemas, schemas.AddResource("openapi.json", document)
}

// cmdOpenAPI holds a document against the schema that docs/openapi.yaml has of it:
// openapi PATH STATUS FILE, or openapi SCHEMA FILE.
func cmdOpenAPI(ts *testscript.TestScript, neg bool, args []string) {
	document, schemas, err := openAPI()
	ts.Check(err)
	name := args[0]
	if len(args) == 3 {
		paths := document["paths"].(object)
		path, ok := paths[args[0]].(object)
		if !ok {
			ts.Fatalf("%s has no path %s", openAPIFile, args[0])
		}
		response := path["get"].(object)["responses"].(object)[args[1]].(object)
		if ref, ok := response["$ref"].(string); ok {
			response = document["components"].(object)["responses"].(object)[ref[strings.LastIndex(ref, "/")+1:]].(object)
		}
		content := response["content"].(object)["application/json"].(object)
		ref := content["schema"].(object)["$ref"].(string)
		name = ref[strings.LastIndex(ref, "/")+1:]
	}
	schema, err := schemas.Compile("openapi.json#/components/schemas/" + name)
	ts.Check(err)
	answer, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[len(args)-1])))
	ts.Check(err)
	if err := schema.Validate(answer); (err != nil) != neg {
		ts.Fatalf("%s: %v", args[0], err)
	}
}
