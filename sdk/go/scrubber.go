package openeaap

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// scrubber takes the values of a step's credentials out of text, also in the forms in which they
// turn up in errors: within a URL, in JSON, in a header of basic authentication.
type scrubber struct {
	replacer *strings.Replacer
}

func newScrubber(values []string) scrubber {
	forms := map[string]bool{}
	for _, value := range values {
		if value == "" {
			continue
		}
		quoted, _ := json.Marshal(value)
		for _, form := range []string{
			value,
			url.QueryEscape(value),
			url.PathEscape(value),
			strings.Trim(string(quoted), `"`),
			strings.Trim(fmt.Sprintf("%q", value), `"`),
			base64.StdEncoding.EncodeToString([]byte(value)),
			base64.URLEncoding.EncodeToString([]byte(value)),
		} {
			forms[form] = true
		}
	}
	if len(forms) == 0 {
		return scrubber{}
	}
	ordered := make([]string, 0, len(forms))
	for form := range forms {
		ordered = append(ordered, form)
	}
	// The longest first: a secret may begin with another one.
	slices.SortFunc(ordered, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(ordered))
	for _, form := range ordered {
		pairs = append(pairs, form, hidden)
	}
	return scrubber{replacer: strings.NewReplacer(pairs...)}
}

func (s scrubber) text(text string) string {
	if s.replacer == nil {
		return text
	}
	return s.replacer.Replace(text)
}

// logger writes to base, without the values.
func (s scrubber) logger(base *slog.Logger) *slog.Logger {
	if s.replacer == nil {
		return base
	}
	return slog.New(scrubHandler{base: base.Handler(), scrubber: s})
}

type scrubHandler struct {
	base     slog.Handler
	scrubber scrubber
}

func (h scrubHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.base.Enabled(ctx, level)
}

func (h scrubHandler) Handle(ctx context.Context, record slog.Record) error {
	clean := slog.NewRecord(record.Time, record.Level, h.scrubber.text(record.Message), record.PC)
	record.Attrs(func(attr slog.Attr) bool {
		clean.AddAttrs(h.scrubber.attr(attr))
		return true
	})
	return h.base.Handle(ctx, clean)
}

func (h scrubHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, attr := range attrs {
		clean[i] = h.scrubber.attr(attr)
	}
	return scrubHandler{base: h.base.WithAttrs(clean), scrubber: h.scrubber}
}

func (h scrubHandler) WithGroup(name string) slog.Handler {
	return scrubHandler{base: h.base.WithGroup(name), scrubber: h.scrubber}
}

func (s scrubber) attr(attr slog.Attr) slog.Attr {
	value := attr.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		return slog.String(attr.Key, s.text(value.String()))
	case slog.KindGroup:
		members := value.Group()
		clean := make([]slog.Attr, len(members))
		for i, member := range members {
			clean[i] = s.attr(member)
		}
		return slog.Attr{Key: attr.Key, Value: slog.GroupValue(clean...)}
	case slog.KindAny:
		// A handler may print it in ways that nobody here can foresee, so it becomes text now.
		return slog.String(attr.Key, s.text(fmt.Sprintf("%+v", value.Any())))
	default:
		return slog.Attr{Key: attr.Key, Value: value}
	}
}
