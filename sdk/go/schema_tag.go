package openeaap

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var keyValue = regexp.MustCompile(`^([A-Za-z]+)=`)

// applySchemaTag reads a jsonschema tag: a description, or limits as key=value separated by commas.
func applySchemaTag(field writtenField, tag string) (writtenField, error) {
	parts := splitTag(tag)
	if !keyValue.MatchString(tag) && !isFlag(parts[0]) {
		field.schema = field.schema.set("description", tag)
		return field, nil
	}
	var values []any
	for _, part := range parts {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "required":
			field.required = true
		case "optional":
			field.required = false
		case "enum":
			one, err := typedValue(field.schema, value)
			if err != nil {
				return field, fmt.Errorf("jsonschema tag: %s: %w", part, err)
			}
			values = append(values, one)
		case "default":
			one, err := typedValue(field.schema, value)
			if err != nil {
				return field, fmt.Errorf("jsonschema tag: %s: %w", part, err)
			}
			field.schema = field.schema.set("default", one)
			field.required = false
		case "description", "title", "format", "pattern":
			field.schema = field.schema.set(key, value)
		case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return field, fmt.Errorf("jsonschema tag: %s: %q is not a number", key, value)
			}
			field.schema = field.schema.set(key, number)
		case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
			number, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return field, fmt.Errorf("jsonschema tag: %s: %q is not a whole number from 0 on", key, value)
			}
			field.schema = field.schema.set(key, number)
		default:
			return field, fmt.Errorf(`jsonschema tag: %q is not known; write a comma within a value as \\,`, part)
		}
	}
	if len(values) > 0 {
		if kinds, isList := field.schema.get("type").([]string); isList && len(kinds) > 1 {
			values = append(values, nil)
		}
		field.schema = field.schema.set("enum", values)
	}
	return field, nil
}

func isFlag(part string) bool { return part == "required" || part == "optional" }

// splitTag cuts at commas, except those behind a backslash.
func splitTag(tag string) []string {
	const comma = "\x00"
	parts := strings.Split(strings.ReplaceAll(tag, `\,`, comma), ",")
	for i, part := range parts {
		parts[i] = strings.TrimSpace(strings.ReplaceAll(part, comma, ","))
	}
	return parts
}

// typedValue reads text as a value of the schema's type.
func typedValue(schema object, text string) (any, error) {
	kind, _ := schema.get("type").(string)
	if kinds, isList := schema.get("type").([]string); isList {
		kind = kinds[0]
	}
	switch kind {
	case "string":
		return text, nil
	case "integer", "number", "boolean":
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("it is not a value of type %s", kind)
		}
		return value, nil
	default:
		return nil, fmt.Errorf("it is only for strings, numbers and booleans")
	}
}
