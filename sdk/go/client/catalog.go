package client

import (
	"context"
	"encoding/json"
	"net/http"
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
	Name string `json:"name"`
	// Version of the plugin itself; empty until it has answered once.
	Version string `json:"version"`
	// Kind is runtime or tools.
	Kind string `json:"kind"`
	// Status is ready, degraded, starting, sick, incompatible, refused, conflict or down; Detail says
	// why, and the cure.
	Status string `json:"status"`
	Detail string `json:"detail"`
	// Source is built-in, file or api.
	Source string `json:"source"`
	SDK    string `json:"sdk"`
	// Copies on the node that answers.
	Copies PluginCopies `json:"copies"`
	Tools  []string     `json:"tools"`
	// Agents are entrypoints that an agent of the platform may name.
	Agents   []string `json:"agents"`
	Warnings []string `json:"warnings"`
}

// PluginCopies are how many of a plugin's copies there are.
type PluginCopies struct {
	Ready    int `json:"ready"`
	Wanted   int `json:"wanted"`
	Restarts int `json:"restarts"`
}

// DeclarePlugin is a plugin in the words of the platform's plugins.yaml. A program that the nodes are
// to start can be declared in that file alone.
type DeclarePlugin struct {
	Name string `json:"name"`
	// Type is runtime-worker or mcp.
	Type string `json:"type"`
	// Address is HOST:PORT, dns:///NAME:PORT or unix:/PATH of a worker that runs already.
	Address string     `json:"address,omitempty"`
	TLS     *PluginTLS `json:"tls,omitempty"`
	// TokenEnv is the variable of the nodes that holds the plugin's token.
	TokenEnv string `json:"token_env,omitempty"`
	// Image that the nodes are to start.
	Image    string            `json:"image,omitempty"`
	Replicas int               `json:"replicas,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	// URL of an MCP server.
	URL string `json:"url,omitempty"`
	// Secrets that tools of this plugin may be given, and no others.
	Secrets []string `json:"secrets,omitempty"`
}

// PluginTLS names PEM files on the nodes; empty: the system's authorities, no client certificate.
type PluginTLS struct {
	CA         string `json:"ca,omitempty"`
	Cert       string `json:"cert,omitempty"`
	Key        string `json:"key,omitempty"`
	ServerName string `json:"server_name,omitempty"`
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

// Get a plugin by its name.
func (p *Plugins) Get(ctx context.Context, name string) (*Plugin, error) {
	var plugin Plugin
	if err := p.client.get(ctx, &plugin, nil, "plugins", name); err != nil {
		return nil, err
	}
	return &plugin, nil
}

// Declare a plugin, or declare it anew.
func (p *Plugins) Declare(ctx context.Context, declaration DeclarePlugin) (*Plugin, error) {
	var plugin Plugin
	if err := p.client.post(ctx, declaration, &plugin, true, "plugins"); err != nil {
		return nil, err
	}
	return &plugin, nil
}

// Restart replaces the copies of a plugin, each when its successor is ready.
func (p *Plugins) Restart(ctx context.Context, name string) (*Plugin, error) {
	var plugin Plugin
	if err := p.client.post(ctx, struct{}{}, &plugin, false, "plugins", name, "restart"); err != nil {
		return nil, err
	}
	return &plugin, nil
}

// Remove a plugin that was declared by the API. Its tools are gone at once.
func (p *Plugins) Remove(ctx context.Context, name string) error {
	path, err := route("plugins", name)
	if err != nil {
		return err
	}
	return p.client.do(ctx, call{method: http.MethodDelete, path: path}, nil)
}
