package openeaap

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// maxProblems is how many of the things that are wrong with some arguments are told at once.
const maxProblems = 5

// argsValidator parses the arguments of a tool at the edge: the platform has validated them
// already, but a plugin believes nobody.
type argsValidator struct {
	schema *jsonschema.Schema
}

func newArgsValidator(schema string) (*argsValidator, error) {
	compiled, err := compileSchema(schema)
	if err != nil {
		return nil, err
	}
	return &argsValidator{schema: compiled}, nil
}

// decode fills in, a pointer. Errors are INVALID_INPUT and name the field.
func (v *argsValidator) decode(args string, in any) error {
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(args))
	if err != nil {
		return &StepError{Code: CodeInvalidInput, Message: "the arguments are not JSON: send one JSON object", Cause: err}
	}
	if _, isObject := parsed.(map[string]any); !isObject {
		return &StepError{Code: CodeInvalidInput, Message: "the arguments are not a JSON object: send {} for none"}
	}
	if err := v.schema.Validate(parsed); err != nil {
		return &StepError{Code: CodeInvalidInput, Message: describe(err), Cause: err}
	}
	if err := json.Unmarshal([]byte(args), in); err != nil {
		return &StepError{Code: CodeInvalidInput, Message: describe(err), Cause: err}
	}
	return nil
}

// compileSchema reads a schema of draft 2020-12. It follows no reference out of the schema.
func compileSchema(schema string) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	const at = "urn:openeaap:schema"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(at, document); err != nil {
		return nil, err
	}
	return compiler.Compile(at)
}

type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside of the schema: put it into $defs", url)
}

// describe says which fields are wrong, and how, in a line that a model can act on.
func describe(err error) string {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return fmt.Sprintf("%s: %s is not a value of type %s", fieldOr(mistyped.Field, "arguments"), mistyped.Value, mistyped.Type)
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		// The text of an UnmarshalText or UnmarshalJSON of the author's: it is about the arguments.
		return "the arguments cannot be read: " + err.Error()
	}
	problems := slices.Compact(leaves(invalid, nil))
	if len(problems) > maxProblems {
		problems = append(problems[:maxProblems], fmt.Sprintf("and %d more", len(problems)-maxProblems))
	}
	return strings.Join(problems, "; ")
}

func leaves(e *jsonschema.ValidationError, problems []string) []string {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			problems = leaves(cause, problems)
		}
		return problems
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			problems = append(problems, fieldPath(append(slices.Clone(e.InstanceLocation), name))+": is missing")
		}
		return problems
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			problems = append(problems, fieldPath(append(slices.Clone(e.InstanceLocation), name))+": is not a known field")
		}
		return problems
	default:
		printer := message.NewPrinter(language.English)
		return append(problems, fieldOr(fieldPath(e.InstanceLocation), "arguments")+": "+e.ErrorKind.LocalizedString(printer))
	}
}

// fieldPath writes hosts[2].port for /hosts/2/port.
func fieldPath(location []string) string {
	var path strings.Builder
	for _, part := range location {
		switch {
		case part != "" && strings.Trim(part, "0123456789") == "":
			path.WriteString("[" + part + "]")
		case path.Len() > 0:
			path.WriteString("." + part)
		default:
			path.WriteString(part)
		}
	}
	return path.String()
}

func fieldOr(field, fallback string) string {
	if field == "" {
		return fallback
	}
	return field
}
