package client

import (
	"context"
	"encoding/json"
)

// Tools is the part of the API about tools.
type Tools struct{ client *Client }

// Plugins is the part of the API about plugins.
type Plugins struct{ client *Client }

// Tool that agents may be given.
type Tool struct {
	Name            string          `json:"name"`
	Version         string          `json:"version"`
	Plugin          string          `json:"plugin"`
	Description     string          `json:"description"`
	InputSchema     json.RawMessage `json:"input_schema"`
	Effect          string          `json:"effect"`
	Idempotent      bool            `json:"idempotent"`
	TimeoutMs       int64           `json:"timeout_ms"`
	UntrustedOutput bool            `json:"untrusted_output"`
}

// Plugin that tools or runtimes come from.
type Plugin struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
	Status  string `json:"status"`
	// Detail says why the status is what it is.
	Detail string `json:"detail"`
}

// List all tools.
func (t *Tools) List(ctx context.Context) ([]Tool, error) {
	var list struct{ Items []Tool }
	if err := t.client.get(ctx, &list, nil, "tools"); err != nil {
		return nil, err
	}
	return list.Items, nil
}

// List all plugins and how they are.
func (p *Plugins) List(ctx context.Context) ([]Plugin, error) {
	var list struct{ Items []Plugin }
	if err := p.client.get(ctx, &list, nil, "plugins"); err != nil {
		return nil, err
	}
	return list.Items, nil
}
