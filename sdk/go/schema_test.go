package openeaap_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	openeaap "github.com/openeaap/openeaap/sdk/go"
)

type base struct {
	ID   string `json:"id"`
	Note string `json:"note"`
}

type tree struct {
	Name     string  `json:"name"`
	Children []*tree `json:"children,omitempty"`
}

func schemaOf[In any](t *testing.T) string {
	t.Helper()
	tool := openeaap.NewTool("t", "d", func(context.Context, *openeaap.ToolCall, In) (any, error) { return nil, nil })
	if tool.Err() != nil {
		t.Fatal(tool.Err())
	}
	return string(tool.InputSchema())
}

func TestTheSchemaIsWhatEncodingJSONReads(t *testing.T) {
	type inner struct {
		A int `json:"a"`
	}
	for _, test := range []struct {
		name      string
		got, want string
	}{
		{"nothing", schemaOf[struct{}](t), `{"type":"object","properties":{},"additionalProperties":false}`},
		{"any object", schemaOf[json.RawMessage](t), `{"type":"object"}`},
		{"any object as a map", schemaOf[map[string]any](t), `{"type":"object"}`},
		{"a map", schemaOf[map[string]int](t), `{"type":"object","additionalProperties":{"type":"integer"}}`},
		{"a pointer to a struct", schemaOf[*inner](t), `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}`},
		{
			"names, order, what is optional", schemaOf[struct {
				Z        string `json:"z"`
				A        string `json:"a,omitempty"`
				M        *int   `json:"m"`
				Untagged bool
				Hidden   string `json:"-"`
				private  string
				O        *string `json:"o" jsonschema:"required"`
			}](t),
			`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"},"m":{"type":["integer","null"]},"Untagged":{"type":"boolean"},"o":{"type":["string","null"]}},"required":["z","Untagged","o"],"additionalProperties":false}`,
		},
		{
			"types", schemaOf[struct {
				B []byte            `json:"b"`
				F float32           `json:"f"`
				U uint8             `json:"u"`
				L [2]int            `json:"l"`
				D map[string][]bool `json:"d"`
				T time.Time         `json:"t"`
				R json.RawMessage   `json:"r"`
				X netip.Prefix      `json:"x"`
				S int               `json:"s,string"`
			}](t),
			`{"type":"object","properties":{"b":{"type":"string","contentEncoding":"base64"},"f":{"type":"number"},"u":{"type":"integer","minimum":0},"l":{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":2},"d":{"type":"object","additionalProperties":{"type":"array","items":{"type":"boolean"}}},"t":{"type":"string","format":"date-time"},"r":{},"x":{"type":"string"},"s":{"type":"string"}},"required":["b","f","u","l","d","t","r","x","s"],"additionalProperties":false}`,
		},
		{
			"tags", schemaOf[struct {
				A string  `json:"a" description:"First" jsonschema:"enum=x,enum=y\\,z,default=x"`
				B int     `json:"b" jsonschema:"minimum=1,maximum=9,description=Second"`
				C string  `json:"c" jsonschema:"Just text, with a comma"`
				D *string `json:"d" jsonschema:"enum=x"`
				E string  `json:"e" jsonschema:"pattern=^a{1\\,3}$,minLength=1"`
			}](t),
			`{"type":"object","properties":{"a":{"type":"string","description":"First","default":"x","enum":["x","y,z"]},"b":{"type":"integer","minimum":1,"maximum":9,"description":"Second"},"c":{"type":"string","description":"Just text, with a comma"},"d":{"type":["string","null"],"enum":["x",null]},"e":{"type":"string","pattern":"^a{1,3}$","minLength":1}},"required":["b","c","e"],"additionalProperties":false}`,
		},
		{
			"embedded, the outer one wins", schemaOf[struct {
				base
				Note int `json:"note"`
			}](t),
			`{"type":"object","properties":{"id":{"type":"string"},"note":{"type":"integer"}},"required":["id","note"],"additionalProperties":false}`,
		},
		{
			"itself within itself", schemaOf[tree](t),
			`{"type":"object","$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/tree"},{"type":"null"}]}}},"required":["name"],"additionalProperties":false}}}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got  %s\nwant %s", test.got, test.want)
			}
		})
	}
}

func TestASchemaTagThatIsWrongNamesTheField(t *testing.T) {
	for _, test := range []struct {
		name string
		tool *openeaap.Tool
		want string
	}{
		{"unknown key", openeaap.NewTool("t", "d", func(context.Context, *openeaap.ToolCall, struct {
			A string `jsonschema:"minimun=1"`
		}) (any, error) {
			return nil, nil
		}), `.A: jsonschema tag: "minimun=1"`},
		{"no number", openeaap.NewTool("t", "d", func(context.Context, *openeaap.ToolCall, struct {
			A int `jsonschema:"minimum=one"`
		}) (any, error) {
			return nil, nil
		}), "not a number"},
		{"another type", openeaap.NewTool("t", "d", func(context.Context, *openeaap.ToolCall, struct {
			A int `jsonschema:"enum=one"`
		}) (any, error) {
			return nil, nil
		}), "not a value of type integer"},
		{"a pattern that is none", openeaap.NewTool("t", "d", func(context.Context, *openeaap.ToolCall, struct {
			A string `jsonschema:"pattern=("`
		}) (any, error) {
			return nil, nil
		}), "input schema"},
		{"a map by number", openeaap.NewTool("t", "d", func(context.Context, *openeaap.ToolCall, map[int]string) (any, error) { return nil, nil }), "keys"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.tool.Err(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v does not say %q", err, test.want)
			}
		})
	}
}
