package openeaap

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// inputSchema is the schema of a tool's arguments: always an object.
func inputSchema(t reflect.Type) (string, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[json.RawMessage]() || t.Kind() == reflect.Interface {
		return `{"type":"object"}`, nil
	}
	if t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return "", fmt.Errorf("arguments are a JSON object, which %s is not: use a struct or a map", t)
	}
	if implements[json.Unmarshaler](t) || implements[encoding.TextUnmarshaler](t) {
		return "", fmt.Errorf("%s reads JSON in a way of its own: say what it takes with WithInputSchema", t)
	}
	return inferSchema(t)
}

// inferSchema writes what encoding/json reads and writes for a type as JSON Schema 2020-12. Fields
// keep the order in which the author wrote them. A struct that contains itself becomes a $ref.
func inferSchema(t reflect.Type) (string, error) {
	walk := schemaWalk{open: map[reflect.Type]bool{}, names: map[reflect.Type]string{}}
	root, err := walk.typeSchema(t)
	if err != nil {
		return "", err
	}
	if len(walk.definitions) > 0 {
		// Model servers want to see the type of the arguments at the root, also beside a $ref.
		if root.get("$ref") != nil {
			root = append(object{{"type", "object"}}, root...)
		}
		root = append(root, member{"$defs", walk.definitions})
	}
	text, err := json.Marshal(root)
	return string(text), err
}

// object is a JSON object whose members have an order.
type object []member

type member struct {
	key   string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var buffer bytes.Buffer
	buffer.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			buffer.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		buffer.Write(key)
		buffer.WriteByte(':')
		buffer.Write(value)
	}
	buffer.WriteByte('}')
	return buffer.Bytes(), nil
}

// set gives a member a value, in its old place if it has one.
func (o object) set(key string, value any) object {
	if at := slices.IndexFunc(o, func(m member) bool { return m.key == key }); at >= 0 {
		o[at].value = value
		return o
	}
	return append(o, member{key, value})
}

func (o object) get(key string) any {
	for _, m := range o {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

type schemaWalk struct {
	// open are the structs that are being written, from the root to here.
	open map[reflect.Type]bool
	// names are the structs that contain themselves.
	names       map[reflect.Type]string
	definitions object
}

func (w *schemaWalk) typeSchema(t reflect.Type) (object, error) {
	if t.Kind() == reflect.Pointer {
		inner, err := w.typeSchema(t.Elem())
		if err != nil {
			return nil, err
		}
		return nullable(inner), nil
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{{"type", "string"}, {"format", "date-time"}}, nil
	case reflect.TypeFor[time.Duration]():
		return object{{"type", "integer"}, {"description", "Nanoseconds."}}, nil
	case reflect.TypeFor[netip.Addr]():
		return object{{"type", "string"}, {"description", "An IP address."}}, nil
	case reflect.TypeFor[json.Number]():
		return object{{"type", "number"}}, nil
	}
	if implements[json.Marshaler](t) || implements[json.Unmarshaler](t) {
		// Anything: only the author knows.
		return object{}, nil
	}
	if implements[encoding.TextMarshaler](t) || implements[encoding.TextUnmarshaler](t) {
		return object{{"type", "string"}}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{{"type", "boolean"}}, nil
	case reflect.String:
		return object{{"type", "string"}}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{{"type", "integer"}}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return object{{"type", "integer"}, {"minimum", 0}}, nil
	case reflect.Float32, reflect.Float64:
		return object{{"type", "number"}}, nil
	case reflect.Interface:
		return object{}, nil
	case reflect.Slice, reflect.Array:
		return w.arraySchema(t)
	case reflect.Map:
		return w.mapSchema(t)
	case reflect.Struct:
		return w.structSchema(t)
	default:
		return nil, fmt.Errorf("%s cannot be written as JSON", t)
	}
}

func (w *schemaWalk) arraySchema(t reflect.Type) (object, error) {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		return object{{"type", "string"}, {"contentEncoding", "base64"}}, nil
	}
	items, err := w.typeSchema(t.Elem())
	if err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	schema := object{{"type", "array"}, {"items", items}}
	if t.Kind() == reflect.Array {
		schema = append(schema, member{"minItems", t.Len()}, member{"maxItems", t.Len()})
	}
	return schema, nil
}

func (w *schemaWalk) mapSchema(t reflect.Type) (object, error) {
	switch key := t.Key(); {
	case key.Kind() == reflect.String, implements[encoding.TextMarshaler](key):
	default:
		return nil, fmt.Errorf("the keys of %s must be strings", t)
	}
	values, err := w.typeSchema(t.Elem())
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	if len(values) == 0 {
		return object{{"type", "object"}}, nil
	}
	return object{{"type", "object"}, {"additionalProperties", values}}, nil
}

func (w *schemaWalk) structSchema(t reflect.Type) (object, error) {
	if w.open[t] {
		if _, named := w.names[t]; !named {
			w.names[t] = w.freeName(t.Name())
		}
		return w.reference(t), nil
	}
	if _, written := w.names[t]; written {
		return w.reference(t), nil
	}
	w.open[t] = true
	defer delete(w.open, t)
	properties, required := object{}, []string{}
	for _, field := range jsonFields(t) {
		schema, err := w.fieldSchema(field)
		if err != nil {
			return nil, fmt.Errorf("field %s.%s: %w", t.Name(), field.Name, err)
		}
		properties = append(properties, member{field.name, schema.schema})
		if schema.required {
			required = append(required, field.name)
		}
	}
	schema := object{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		schema = append(schema, member{"required", required})
	}
	schema = append(schema, member{"additionalProperties", false})
	if name, recursive := w.names[t]; recursive {
		w.definitions = append(w.definitions, member{name, schema})
		return w.reference(t), nil
	}
	return schema, nil
}

func (w *schemaWalk) reference(t reflect.Type) object {
	return object{{"$ref", "#/$defs/" + w.names[t]}}
}

func (w *schemaWalk) freeName(name string) string {
	taken := func(name string) bool {
		for _, other := range w.names {
			if other == name {
				return true
			}
		}
		return false
	}
	// The name of a generic type has brackets and slashes, which a reference would have to escape.
	base := strings.Map(func(r rune) rune {
		if strings.ContainsRune("[]/.,* ", r) {
			return '_'
		}
		return r
	}, name)
	free := base
	for n := 2; taken(free); n++ {
		free = base + strconv.Itoa(n)
	}
	return free
}

type writtenField struct {
	schema   object
	required bool
}

func (w *schemaWalk) fieldSchema(field jsonField) (writtenField, error) {
	schema, err := w.typeSchema(field.Type)
	if err != nil {
		return writtenField{}, err
	}
	if field.asString {
		schema = object{{"type", "string"}}
	}
	if description := field.Tag.Get("description"); description != "" {
		schema = schema.set("description", description)
	}
	written := writtenField{schema: schema, required: !field.omit && field.Type.Kind() != reflect.Pointer}
	if tag := field.Tag.Get("jsonschema"); tag != "" {
		return applySchemaTag(written, tag)
	}
	return written, nil
}

// nullable also takes null, as encoding/json does for a pointer.
func nullable(schema object) object {
	switch kind := schema.get("type").(type) {
	case string:
		return schema.set("type", []string{kind, "null"})
	case []string:
		return schema
	}
	if len(schema) == 0 {
		return schema
	}
	return object{{"anyOf", []object{schema, {{"type", "null"}}}}}
}

func implements[T any](t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[T]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[T]())
}
