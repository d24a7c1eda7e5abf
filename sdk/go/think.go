package openeaap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
)

// Think is what an agent is given: the whole memory of the run.
type Think struct {
	RunID    string
	StepID   string
	StepNo   int
	TenantID string
	// AgentID of the agent of the platform; Agent is how it is configured there.
	AgentID   string
	Agent     AgentConfiguration
	Principal Principal
	// Input of the run: any JSON value.
	Input json.RawMessage
	// Journal holds every step of the run so far, in order.
	Journal []JournalStep
	// Tools that may be proposed; what is blocked is left out already.
	Tools       []ToolInfo
	Constraints Constraints
	// State is what the newest think that returned one wants to find again; nil: there is none.
	State json.RawMessage
	// TraceContext holds W3C trace context headers to pass on to the model.
	TraceContext map[string]string
	// GatewayURL is the base URL of an OpenAI-compatible API, to be asked with ModelToken. Both are
	// good for this step alone.
	GatewayURL string
	ModelToken Secret
	// Log knows the run and the step and leaves the model token out.
	Log *slog.Logger

	emit func(text string)
}

// AgentConfiguration is the agent as the platform has it configured.
type AgentConfiguration struct {
	Name    string
	Version string
	// Entrypoint is the name of the hosted agent, or empty for the only one.
	Entrypoint string
	// Reasoning is react, cot or tot.
	Reasoning    string
	SystemPrompt string
	Model        Model
	// Settings are free ones for the hosted agent: a JSON object, or nil.
	Settings json.RawMessage
}

// Model says how the agent's model is to be asked.
type Model struct {
	// Name of a backend or a capability; empty: the gateway's default.
	Name        string
	Temperature float64
	// MaxTokens is the most completion tokens of one think.
	MaxTokens int
	// ToolCalling is native (the model calls tools by the API) or text.
	ToolCalling string
}

// Constraints are enforced by the platform whatever an agent does.
type Constraints struct {
	BlockedTools []string
	DryRun       bool
	// MaxTokens is the most completion tokens of this step; 0: no limit.
	MaxTokens int
}

// ToolInfo is a tool that may be proposed.
type ToolInfo struct {
	Name        string
	Version     string
	Description string
	InputSchema json.RawMessage
	Effect      Effect
}

// JournalStep is one step of the run: of Thought and Act one is set.
type JournalStep struct {
	No      int
	StepID  string
	Thought *ThoughtStep
	Act     *ActStep
}

// ThoughtStep is a think of this run.
type ThoughtStep struct {
	// Proposal is nil when the think failed; then Err says why.
	Proposal *Proposal
	Err      *StepError
	State    json.RawMessage
}

// Proposal is what a think has led to.
type Proposal struct {
	Thought string
	Calls   []ProposedCall
	// Output is nil unless it ended the run.
	Output json.RawMessage
}

// ActStep is a tool call of this run.
type ActStep struct {
	CallID string
	Tool   string
	// Args is what was run: the proposed arguments, or those of an approver's edit.
	Args json.RawMessage
	// Status is invalid, denied, done, failed, rejected, expired or dry_run.
	Status string
	// Observation is what the agent is to see: {"output": ...} or {"error": {"code", "message"}}.
	Observation json.RawMessage
	// ThinkNo is the number of the think that proposed it.
	ThinkNo int
}

// DecodeInput reads the input of the run into v, a pointer.
func (t *Think) DecodeInput(v any) error {
	if err := json.Unmarshal(t.Input, v); err != nil {
		return &StepError{Code: CodeInvalidInput, Message: "the input of the run is not what this agent takes: " + describe(err), Cause: err}
	}
	return nil
}

// DecodeState reads the state into v, a pointer; v stays as it is when there is no state.
func (t *Think) DecodeState(v any) error {
	if t.State == nil {
		return nil
	}
	if err := json.Unmarshal(t.State, v); err != nil {
		return fmt.Errorf("the state of an earlier think is not what this agent keeps: %w", err)
	}
	return nil
}

// DecodeSettings reads the agent's settings into v, a pointer; v stays as it is when there are none.
func (t *Think) DecodeSettings(v any) error {
	if t.Agent.Settings == nil {
		return nil
	}
	if err := json.Unmarshal(t.Agent.Settings, v); err != nil {
		return &StepError{Code: CodeInvalidInput, Message: "the settings of the agent are not what it takes: " + describe(err), Cause: err}
	}
	return nil
}

// Tool finds a tool that may be proposed.
func (t *Think) Tool(name string) (ToolInfo, bool) {
	at := slices.IndexFunc(t.Tools, func(tool ToolInfo) bool { return tool.Name == name })
	if at < 0 || slices.Contains(t.Constraints.BlockedTools, name) {
		return ToolInfo{}, false
	}
	return t.Tools[at], true
}

// Emit shows text as it is produced to whoever watches. It is a preview and is never stored. Any
// goroutine may call it; after the think has returned it does nothing.
func (t *Think) Emit(text string) { t.emit(text) }

func fromProtoThink(r *runtimev1.ExecuteStepRequest) (*Think, error) {
	if !json.Valid([]byte(r.GetInputPayload())) {
		return nil, &StepError{Code: CodeInvalidInput, Message: "input_payload: the input of the run is not JSON"}
	}
	settings := rawOrNil(r.GetAgent().GetSettings())
	if settings != nil && !isObject(settings) {
		return nil, &StepError{Code: CodeInvalidInput, Message: "agent.settings: is not a JSON object"}
	}
	model := r.GetAgent().GetModel()
	think := &Think{
		RunID:    r.GetRunId(),
		StepID:   r.GetStepId(),
		StepNo:   int(r.GetStepNo()),
		TenantID: r.GetTenantId(),
		AgentID:  r.GetAgentId(),
		Agent: AgentConfiguration{
			Name:         r.GetAgent().GetName(),
			Version:      r.GetAgent().GetVersion(),
			Entrypoint:   r.GetAgent().GetEntrypoint(),
			Reasoning:    r.GetAgent().GetReasoning(),
			SystemPrompt: r.GetAgent().GetSystemPrompt(),
			Model:        Model{Name: model.GetName(), Temperature: model.GetTemperature(), MaxTokens: int(model.GetMaxTokens()), ToolCalling: model.GetToolCalling()},
			Settings:     settings,
		},
		Principal: fromProtoPrincipal(r.GetPrincipal()),
		Input:     json.RawMessage(r.GetInputPayload()),
		Constraints: Constraints{
			BlockedTools: r.GetConstraints().GetBlockedTools(),
			DryRun:       r.GetConstraints().GetDryRun(),
			MaxTokens:    int(r.GetConstraints().GetMaxTokens()),
		},
		TraceContext: r.GetTraceContext(),
		GatewayURL:   r.GetEphemeralCredentials()["OPENEAAP_GATEWAY_URL"],
		ModelToken:   newSecret(r.GetEphemeralCredentials()["OPENEAAP_MODEL_TOKEN"]),
	}
	for _, spec := range r.GetTools() {
		think.Tools = append(think.Tools, ToolInfo{
			Name:        spec.GetName(),
			Version:     spec.GetVersion(),
			Description: spec.GetDescription(),
			InputSchema: json.RawMessage(spec.GetInputSchema()),
			Effect:      fromProtoEffect(spec.GetEffect()),
		})
	}
	for _, step := range r.GetJournal() {
		known, ok := fromProtoStep(step)
		if !ok {
			continue
		}
		think.Journal = append(think.Journal, known)
		if known.Thought != nil && known.Thought.State != nil {
			think.State = known.Thought.State
		}
	}
	return think, nil
}

// fromProtoStep leaves out a kind of step that this version of the protocol does not know.
func fromProtoStep(step *runtimev1.JournalStep) (JournalStep, bool) {
	known := JournalStep{No: int(step.GetNo()), StepID: step.GetStepId()}
	switch kind := step.GetStep().(type) {
	case *runtimev1.JournalStep_Think_:
		known.Thought = &ThoughtStep{
			Proposal: fromProtoProposal(kind.Think.GetProposal()),
			Err:      fromProtoError(kind.Think.GetError()),
			State:    rawOrNil(kind.Think.GetStrategyState()),
		}
	case *runtimev1.JournalStep_Act_:
		known.Act = &ActStep{
			CallID:      kind.Act.GetCallId(),
			Tool:        kind.Act.GetTool(),
			Args:        json.RawMessage(kind.Act.GetArgs()),
			Status:      kind.Act.GetStatus(),
			Observation: json.RawMessage(kind.Act.GetObservation()),
			ThinkNo:     int(kind.Act.GetThinkNo()),
		}
	default:
		return JournalStep{}, false
	}
	return known, true
}

func fromProtoProposal(p *runtimev1.Proposal) *Proposal {
	if p == nil {
		return nil
	}
	proposal := &Proposal{Thought: p.GetThought()}
	if p.Output != nil {
		proposal.Output = json.RawMessage(p.GetOutput())
	}
	for _, call := range p.GetCalls() {
		proposal.Calls = append(proposal.Calls, ProposedCall{ID: call.GetId(), Tool: call.GetTool(), Args: json.RawMessage(call.GetArgs())})
	}
	return proposal
}

func fromProtoEffect(effect runtimev1.ToolEffect) Effect {
	if effect == runtimev1.ToolEffect_TOOL_EFFECT_UNSPECIFIED {
		return Write
	}
	return Effect(effect)
}

func rawOrNil(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func isObject(raw []byte) bool {
	return json.Valid(raw) && bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{"))
}
