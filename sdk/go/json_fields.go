package openeaap

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// jsonField is a field of a struct as encoding/json sees it.
type jsonField struct {
	reflect.StructField
	name string
	// omit: omitempty or omitzero.
	omit bool
	// asString: a number or boolean within a JSON string.
	asString bool
	tagged   bool
}

// jsonFields are the fields that encoding/json reads and writes, in the order of the source, those
// of embedded structs in the place where they are embedded. Of several with one name the shallowest
// counts, then the only tagged one, or else none, as encoding/json has it.
func jsonFields(t reflect.Type) []jsonField {
	all := collectFields(t, nil, map[reflect.Type]bool{t: true})
	byName := map[string][]jsonField{}
	for _, field := range all {
		byName[field.name] = append(byName[field.name], field)
	}
	return slices.DeleteFunc(all, func(field jsonField) bool {
		winner, exists := dominant(byName[field.name])
		return !exists || !slices.Equal(winner.Index, field.Index)
	})
}

func collectFields(t reflect.Type, at []int, seen map[reflect.Type]bool) []jsonField {
	var fields []jsonField
	for i := range t.NumField() {
		field := t.Field(i)
		field.Index = append(slices.Clone(at), i)
		tag := field.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, settings, _ := strings.Cut(tag, ",")
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if field.Anonymous && name == "" && inner.Kind() == reflect.Struct {
			// A pointer to an embedded unexported struct cannot be set by encoding/json.
			if seen[inner] || (!field.IsExported() && field.Type.Kind() == reflect.Pointer) {
				continue
			}
			seen[inner] = true
			fields = append(fields, collectFields(inner, field.Index, seen)...)
			delete(seen, inner)
			continue
		}
		if !field.IsExported() {
			continue
		}
		options := strings.Split(settings, ",")
		fields = append(fields, jsonField{
			StructField: field,
			name:        cmp.Or(name, field.Name),
			omit:        slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero"),
			asString:    slices.Contains(options, "string"),
			tagged:      name != "",
		})
	}
	return fields
}

func dominant(fields []jsonField) (jsonField, bool) {
	least := slices.MinFunc(fields, func(a, b jsonField) int { return len(a.Index) - len(b.Index) })
	shallow := slices.DeleteFunc(slices.Clone(fields), func(f jsonField) bool { return len(f.Index) > len(least.Index) })
	if len(shallow) == 1 {
		return shallow[0], true
	}
	tagged := slices.DeleteFunc(shallow, func(f jsonField) bool { return !f.tagged })
	if len(tagged) == 1 {
		return tagged[0], true
	}
	return jsonField{}, false
}
