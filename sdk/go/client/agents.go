package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"time"
)

// Agents is the part of the API about agents and their versions.
type Agents struct{ client *Client }

// AgentStatus of a version.
type AgentStatus string

// A version is a draft until it is published.
const (
	AgentDraft      AgentStatus = "draft"
	AgentPublished  AgentStatus = "published"
	AgentDeprecated AgentStatus = "deprecated"
)

// Agent is one version of an agent.
type Agent struct {
	AgentID       string             `json:"agent_id"`
	Name          string             `json:"name"`
	Version       string             `json:"version"`
	Status        AgentStatus        `json:"status"`
	Configuration AgentConfiguration `json:"configuration"`
	CreatedAt     time.Time          `json:"created_at"`
	UpdatedAt     time.Time          `json:"updated_at"`
	// Current: it is what the bare name means.
	Current bool `json:"current"`
}

// AgentConfiguration says how an agent thinks. When an agent is created, what is empty has the
// platform's default.
type AgentConfiguration struct {
	Description string `json:"description,omitempty"`
	// Runtime is the name of the plugin that thinks; empty: native.
	Runtime string `json:"runtime,omitempty"`
	// Entrypoint is the agent that the runtime hosts; empty: its only one.
	Entrypoint string `json:"entrypoint,omitempty"`
	// Settings for the hosted agent: a JSON object without secrets.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Reasoning is react, cot or tot.
	Reasoning    string `json:"reasoning,omitempty"`
	SystemPrompt string `json:"system_prompt,omitempty"`
	// Tools that the agent may propose.
	Tools []string    `json:"tools,omitempty"`
	Model *AgentModel `json:"model,omitempty"`
	// MaxSteps of a run.
	MaxSteps       int    `json:"max_steps,omitempty"`
	ThinkTimeoutMs int    `json:"think_timeout_ms,omitempty"`
	DryRun         bool   `json:"dry_run,omitempty"`
	FallbackText   string `json:"fallback_text,omitempty"`
}

// AgentModel says how the agent's model is asked.
type AgentModel struct {
	Name        string   `json:"name,omitempty"`
	Temperature *float64 `json:"temperature,omitempty"`
	MaxTokens   int      `json:"max_tokens,omitempty"`
	// ToolCalling is native or text.
	ToolCalling string `json:"tool_calling,omitempty"`
}

// CreateAgent is a new version of an agent. A version never changes: the same again is answered
// with the version that is there, another configuration with a conflict.
type CreateAgent struct {
	Name          string             `json:"name"`
	Version       string             `json:"version"`
	Configuration AgentConfiguration `json:"configuration"`
}

// Create a version, as a draft.
func (a *Agents) Create(ctx context.Context, request CreateAgent) (*Agent, error) {
	var agent Agent
	if err := a.client.post(ctx, request, &agent, true, "agents"); err != nil {
		return nil, err
	}
	return &agent, nil
}

// Get a version by its id, by name (the current one) or name@version.
func (a *Agents) Get(ctx context.Context, agent string) (*Agent, error) {
	var found Agent
	if err := a.client.get(ctx, &found, nil, "agents", agent); err != nil {
		return nil, err
	}
	return &found, nil
}

// Publish makes a version what the bare name means.
func (a *Agents) Publish(ctx context.Context, agent string) (*Agent, error) {
	return a.change(ctx, agent, "publish")
}

// Deprecate takes a version out of use.
func (a *Agents) Deprecate(ctx context.Context, agent string) (*Agent, error) {
	return a.change(ctx, agent, "deprecate")
}

func (a *Agents) change(ctx context.Context, agent, to string) (*Agent, error) {
	var changed Agent
	if err := a.client.post(ctx, struct{}{}, &changed, true, "agents", agent, to); err != nil {
		return nil, err
	}
	return &changed, nil
}

// ListAgents says which versions are wanted; what is empty does not count.
type ListAgents struct {
	PageOptions
	Name   string
	Status AgentStatus
}

// List gives one page of versions.
func (a *Agents) List(ctx context.Context, which ListAgents) (*Page[Agent], error) {
	query := which.add(url.Values{})
	addText(query, "name", which.Name)
	addText(query, "status", string(which.Status))
	var page Page[Agent]
	if err := a.client.get(ctx, &page, query, "agents"); err != nil {
		return nil, err
	}
	return &page, nil
}

// All gives the versions of all pages.
func (a *Agents) All(ctx context.Context, which ListAgents) iter.Seq2[Agent, error] {
	return allPages(ctx, which.PageOptions, func(ctx context.Context, options PageOptions) (*Page[Agent], error) {
		which.PageOptions = options
		return a.List(ctx, which)
	})
}
