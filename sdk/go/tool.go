package openeaap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
)

// Effect is what a call of a tool does to the world; policies decide by it.
type Effect int

const (
	// Read changes nothing and may be repeated at will.
	Read Effect = iota + 1
	// Write changes something of ours. A tool that says nothing has this effect.
	Write
	// Egress sends data out.
	Egress
	// Destructive is hard to undo: a block, a delete, a shutdown.
	Destructive
)

func (e Effect) String() string {
	switch e {
	case Read:
		return "read"
	case Write:
		return "write"
	case Egress:
		return "egress"
	case Destructive:
		return "destructive"
	default:
		return fmt.Sprintf("Effect(%d)", int(e))
	}
}

// Tool is something that agents can call. It is made by [NewTool].
type Tool struct {
	spec *runtimev1.ToolSpec
	// handlesDryRun: the function looks at ToolCall.DryRun itself.
	handlesDryRun bool
	call          func(ctx context.Context, call *ToolCall, args string) (string, error)
	// err is what is wrong with the tool; [Serve] refuses it.
	err error
}

// Name of the tool.
func (t *Tool) Name() string { return t.spec.GetName() }

// InputSchema is the JSON Schema of the arguments.
func (t *Tool) InputSchema() json.RawMessage { return json.RawMessage(t.spec.GetInputSchema()) }

// Err says what is wrong with the tool, or nil. [Serve] looks at it too.
func (t *Tool) Err() error { return t.err }

// NewTool makes a tool of a function. The JSON Schema of its arguments follows from the fields of
// In, which is a struct (or a map, or json.RawMessage: any object):
//
//   - the name is that of the json tag; a field with omitempty or omitzero and a pointer is optional
//   - `description:"..."` tells the model what it is; so does `jsonschema:"text"`
//   - `jsonschema:"enum=a,enum=b,minimum=1,maximum=9,minLength=1,maxLength=9,pattern=...,format=...,minItems=1,maxItems=9,default=...,required,optional"`
//     limits it; a comma within a value is written \\,
//
// Arguments that break the schema never reach the function. Out is anything that encoding/json can
// write. What is wrong with a tool is told by [Tool.Err] and by [Serve].
func NewTool[In, Out any](name, description string, fn func(ctx context.Context, call *ToolCall, in In) (Out, error), opts ...ToolOption) *Tool {
	config := toolConfig{
		spec: &runtimev1.ToolSpec{Name: name, Description: description, Version: "1.0.0", Effect: runtimev1.ToolEffect_TOOL_EFFECT_WRITE},
		out:  reflect.TypeFor[Out](),
	}
	for _, opt := range opts {
		opt.applyTool(&config)
	}
	tool := &Tool{spec: config.spec, handlesDryRun: config.handlesDryRun}
	validator, err := config.finish(reflect.TypeFor[In]())
	if fn == nil {
		err = errors.Join(err, errors.New("it has no function"))
	}
	if err != nil {
		tool.err = fmt.Errorf("tool %q: %w", name, err)
		return tool
	}
	tool.call = func(ctx context.Context, call *ToolCall, args string) (string, error) {
		var in In
		if err := validator.decode(args, &in); err != nil {
			return "", err
		}
		out, err := fn(ctx, call, in)
		if err != nil {
			return "", err
		}
		return encodeJSON(out)
	}
	return tool
}

// ToolOption sets something of a tool.
type ToolOption interface{ applyTool(*toolConfig) }

type toolOption func(*toolConfig)

func (o toolOption) applyTool(c *toolConfig) { o(c) }

type toolConfig struct {
	spec          *runtimev1.ToolSpec
	out           reflect.Type
	handlesDryRun bool
	inferOutput   bool
	errs          []error
}

// WithEffect says what a call does to the world. Without it the effect is [Write].
func WithEffect(effect Effect) ToolOption {
	return toolOption(func(c *toolConfig) {
		if effect < Read || effect > Destructive {
			c.errs = append(c.errs, fmt.Errorf("effect %d is not known: use Read, Write, Egress or Destructive", int(effect)))
			return
		}
		c.spec.Effect = runtimev1.ToolEffect(effect)
	})
}

// WithIdempotent says that a second call with the same idempotency key has no second effect. After
// a crash the platform believes it.
func WithIdempotent() ToolOption {
	return toolOption(func(c *toolConfig) { c.spec.Idempotent = true })
}

// WithTimeout is how long a call may take; 30 s without it.
func WithTimeout(timeout time.Duration) ToolOption {
	return toolOption(func(c *toolConfig) {
		ms := timeout.Milliseconds()
		if ms < 1 || ms > math.MaxUint32 {
			c.errs = append(c.errs, fmt.Errorf("timeout %s is not between 1 ms and 49 days", timeout))
			return
		}
		c.spec.TimeoutMs = uint32(ms)
	})
}

// WithSecrets names the secrets that a call needs. They arrive in [ToolCall.Secrets]; a call
// without one of them is refused.
func WithSecrets(names ...string) ToolOption {
	return toolOption(func(c *toolConfig) {
		if slices.Contains(names, "") {
			c.errs = append(c.errs, errors.New("the name of a secret is empty"))
		}
		c.spec.Secrets = append(c.spec.Secrets, names...)
	})
}

// WithUntrustedOutput says that results come from outside of the enterprise and may carry instructions.
func WithUntrustedOutput() ToolOption {
	return toolOption(func(c *toolConfig) { c.spec.UntrustedOutput = true })
}

// WithDryRun says that the function looks at [ToolCall.DryRun] and changes nothing when it is set.
// Without it a dry run of a tool that does not only read is refused.
func WithDryRun() ToolOption {
	return toolOption(func(c *toolConfig) { c.handlesDryRun = true })
}

// WithInputSchema takes the place of the schema that follows from In: JSON Schema 2020-12 of an object.
func WithInputSchema(schema string) ToolOption {
	return toolOption(func(c *toolConfig) { c.spec.InputSchema = schema })
}

// WithOutputSchema says what the result looks like, as JSON Schema 2020-12.
func WithOutputSchema(schema string) ToolOption {
	return toolOption(func(c *toolConfig) { c.spec.OutputSchema = schema })
}

// WithInferredOutputSchema is [WithOutputSchema] with the schema that follows from Out.
func WithInferredOutputSchema() ToolOption {
	return toolOption(func(c *toolConfig) { c.inferOutput = true })
}

// VersionOption is the version of a tool, or of a plugin.
type VersionOption string

// WithVersion is an option of [NewTool] and of [Serve].
func WithVersion(version string) VersionOption { return VersionOption(version) }

func (v VersionOption) applyTool(c *toolConfig) { c.spec.Version = string(v) }

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// finish fills in what follows from the types and gives what checks the arguments.
func (c *toolConfig) finish(in reflect.Type) (*argsValidator, error) {
	errs := c.errs
	if name := c.spec.GetName(); !namePattern.MatchString(name) || len(name) > maxNameChars {
		errs = append(errs, fmt.Errorf("the name must be 1 to %d letters, digits, _ or -", maxNameChars))
	}
	if c.spec.GetDescription() == "" {
		errs = append(errs, errors.New("the description is empty: the model chooses by it"))
	}
	if c.spec.GetInputSchema() == "" {
		schema, err := inputSchema(in)
		errs = append(errs, err)
		c.spec.InputSchema = schema
	}
	if c.inferOutput {
		schema, err := inferSchema(c.out)
		errs = append(errs, err)
		c.spec.OutputSchema = schema
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if schema := c.spec.GetOutputSchema(); schema != "" {
		if _, err := compileSchema(schema); err != nil {
			return nil, fmt.Errorf("output schema: %w", err)
		}
	}
	validator, err := newArgsValidator(c.spec.GetInputSchema())
	if err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	return validator, nil
}

// encodeJSON writes v as encoding/json does, but leaves <, > and & as they are.
func encodeJSON(v any) (string, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("the result cannot be written as JSON: %w", err)
	}
	return string(bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))), nil
}
