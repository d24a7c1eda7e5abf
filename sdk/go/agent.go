package openeaap

import (
	"context"
	"errors"
	"fmt"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
)

// Agent is the logic of an agent's thinking. It is made by [NewAgent].
type Agent struct {
	spec  *runtimev1.AgentSpec
	think func(ctx context.Context, think *Think) (*ThinkResult, error)
	err   error
}

// Name by which an agent of the platform refers to it, as its entrypoint.
func (a *Agent) Name() string { return a.spec.GetName() }

// NewAgent makes an agent of a function. The function is given the whole memory of the run and
// proposes what to do next; it calls no tool itself and keeps nothing between two calls, since the
// next think may go to another replica. What it wants to find again it returns as
// [ThinkResult.State].
func NewAgent(name string, think func(ctx context.Context, think *Think) (*ThinkResult, error), opts ...AgentOption) *Agent {
	agent := &Agent{spec: &runtimev1.AgentSpec{Name: name}, think: think}
	for _, opt := range opts {
		opt.applyAgent(agent.spec)
	}
	if name == "" {
		agent.err = errors.New("an agent has no name")
	} else if think == nil {
		agent.err = fmt.Errorf("agent %q has no function", name)
	}
	return agent
}

// AgentOption sets something of an agent.
type AgentOption interface {
	applyAgent(*runtimev1.AgentSpec)
}

type agentOption func(*runtimev1.AgentSpec)

func (o agentOption) applyAgent(spec *runtimev1.AgentSpec) { o(spec) }

// WithDescription says what the agent is for.
func WithDescription(description string) AgentOption {
	return agentOption(func(spec *runtimev1.AgentSpec) { spec.Description = description })
}

// WithReasoningModes says which modes of the platform the agent knows: react, cot, tot. Without it
// the agent has a way of its own.
func WithReasoningModes(modes ...string) AgentOption {
	return agentOption(func(spec *runtimev1.AgentSpec) { spec.ReasoningModes = modes })
}
