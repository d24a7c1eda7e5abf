package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
)

// Page is a part of a list, newest first.
type Page[T any] struct {
	Items []T `json:"items"`
	// NextCursor gets the next page; empty: this is the last.
	NextCursor string `json:"next_cursor"`
}

// PageOptions say which part of a list is wanted.
type PageOptions struct {
	// Limit is 1 to 200; 0: 50.
	Limit int
	// Cursor is the NextCursor of the page before.
	Cursor string
}

func (o PageOptions) add(query url.Values) url.Values {
	if o.Limit != 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	return addText(query, "cursor", o.Cursor)
}

func addText(query url.Values, name, value string) url.Values {
	if value != "" {
		query.Set(name, value)
	}
	return query
}

// allPages goes from page to page as the reader goes on.
func allPages[T any](ctx context.Context, first PageOptions, list func(context.Context, PageOptions) (*Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for options := first; ; {
			page, err := list(ctx, options)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			options.Cursor = page.NextCursor
		}
	}
}
