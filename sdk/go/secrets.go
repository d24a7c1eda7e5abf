package openeaap

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

const hidden = "[secret]"

// Secret is a value that no log and no format verb shows. The zero value is empty.
type Secret struct {
	// A function, so that no reflection over a struct that holds it finds the text.
	reveal func() string
}

func newSecret(value string) Secret { return Secret{reveal: func() string { return value }} }

// Reveal gives the value. It is good for this step alone: never log, return or keep it.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String hides the value.
func (s Secret) String() string { return hidden }

// GoString hides the value.
func (s Secret) GoString() string { return hidden }

// LogValue hides the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the value in JSON and other formats.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Secrets are the secrets that a tool has named with [WithSecrets], by name.
type Secrets struct {
	values map[string]Secret
}

// Get gives a secret's value. A tool is never called without those it has named; for any other
// name Get gives "".
func (s Secrets) Get(name string) string { return s.values[name].Reveal() }

// Lookup tells an empty secret from one that is not there.
func (s Secrets) Lookup(name string) (string, bool) {
	value, ok := s.values[name]
	return value.Reveal(), ok
}

// Names are sorted.
func (s Secrets) Names() []string {
	names := make([]string, 0, len(s.values))
	for name := range s.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// String shows the names alone.
func (s Secrets) String() string { return fmt.Sprintf("secrets(%s)", strings.Join(s.Names(), ", ")) }

// GoString shows the names alone.
func (s Secrets) GoString() string { return s.String() }

// LogValue shows the names alone.
func (s Secrets) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText shows the names alone.
func (s Secrets) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
