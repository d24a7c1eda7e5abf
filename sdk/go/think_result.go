package openeaap

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
)

// ThinkResult is what a think leads to: calls, or an output that ends the run, never both. With
// neither, and a thought, the agent is asked again. [Finish], [Call] and [Calls] make one; its
// fields may be set afterwards.
type ThinkResult struct {
	Thought string
	Calls   []ProposedCall
	// Output as JSON; nil: the run goes on.
	Output json.RawMessage
	// State is what the agent wants to find again as [Think.State]: small, anything that
	// encoding/json can write; nil: nothing.
	State any
	// AuditLogs are tool calls that the agent made by itself. Stored as its claim, not as proof.
	AuditLogs []AuditLog
	// Metadata is what the step cost as the agent saw it: prompt_tokens, completion_tokens, model.
	Metadata map[string]string

	err error
}

// ProposedCall is a tool call that an agent proposes.
type ProposedCall struct {
	// ID is unique within the think; empty: one is made.
	ID   string
	Tool string
	// Args is a JSON object. It goes to the platform as it is: what is no JSON is told to the agent
	// at its next think.
	Args json.RawMessage

	err error
}

// AuditLog is a tool call that an agent made by itself.
type AuditLog struct {
	ID       string
	Tool     string
	Input    json.RawMessage
	Output   json.RawMessage
	Failed   bool
	Started  time.Time
	Duration time.Duration
}

// Finish ends the run with an output: anything that encoding/json can write.
func Finish(output any) *ThinkResult {
	text, err := encodeJSON(output)
	return &ThinkResult{Output: json.RawMessage(text), err: err}
}

// Call proposes one tool call. Args is anything that encoding/json writes as an object.
func Call(tool string, args any) *ThinkResult { return Calls(NewCall(tool, args)) }

// Calls proposes several tool calls, which are independent of each other.
func Calls(calls ...ProposedCall) *ThinkResult { return &ThinkResult{Calls: calls} }

// NewCall makes a call for [Calls].
func NewCall(tool string, args any) ProposedCall {
	text, err := encodeJSON(args)
	return ProposedCall{Tool: tool, Args: json.RawMessage(text), err: err}
}

// toProtoResponse checks a result against the think that it answers. What a model may have got
// wrong is MODEL_INVALID_OUTPUT, of which the agent is told when it is asked again.
func toProtoResponse(think *Think, result *ThinkResult) (*runtimev1.ExecuteStepResponse, error) {
	if result == nil {
		return nil, fmt.Errorf("the agent returned neither a result nor an error")
	}
	if result.err != nil {
		return nil, result.err
	}
	proposal, err := toProtoProposal(think, result)
	if err != nil {
		return nil, err
	}
	state := ""
	if result.State != nil {
		if state, err = encodeJSON(result.State); err != nil {
			return nil, fmt.Errorf("state: %w", err)
		}
	}
	response := &runtimev1.ExecuteStepResponse{Proposal: proposal, OutputPayload: proposal.GetOutput(), StrategyState: state, Metadata: validMap(result.Metadata)}
	for _, log := range result.AuditLogs {
		response.AuditLogs = append(response.AuditLogs, toProtoAuditLog(log))
	}
	return response, nil
}

func toProtoProposal(think *Think, result *ThinkResult) (*runtimev1.Proposal, error) {
	proposal := &runtimev1.Proposal{Thought: valid(result.Thought)}
	switch {
	case result.Output != nil && len(result.Calls) > 0:
		return nil, invalidOutput("the proposal holds both calls and an output: calls go on, an output ends the run")
	case result.Output != nil:
		if !json.Valid(result.Output) {
			return nil, invalidOutput("the output is not JSON")
		}
		output := valid(string(result.Output))
		proposal.Output = &output
		return proposal, nil
	case len(result.Calls) == 0 && strings.TrimSpace(result.Thought) == "":
		return nil, invalidOutput("the proposal is empty: it needs calls, an output or a thought")
	}
	ids := map[string]bool{}
	for _, call := range result.Calls {
		ids[call.ID] = true
	}
	used := map[string]bool{}
	for i, call := range result.Calls {
		if call.err != nil {
			return nil, fmt.Errorf("arguments of %q: %w", call.Tool, call.err)
		}
		if err := mayPropose(think, call.Tool); err != nil {
			return nil, err
		}
		id := call.ID
		for n := i + 1; id == ""; n++ {
			if candidate := "call_" + strconv.Itoa(n); !ids[candidate] && !used[candidate] {
				id = candidate
			}
		}
		if used[id] {
			return nil, invalidOutput(fmt.Sprintf("two calls have the id %q", id))
		}
		used[id] = true
		proposal.Calls = append(proposal.Calls, &runtimev1.ProposedCall{Id: valid(id), Tool: call.Tool, Args: valid(string(call.Args))})
	}
	return proposal, nil
}

// mayPropose keeps the promise that what is blocked is not proposed, whatever the agent's model says.
func mayPropose(think *Think, tool string) error {
	if slices.Contains(think.Constraints.BlockedTools, tool) {
		return &StepError{Code: CodeConstraintViolated, Message: fmt.Sprintf("the agent proposed %q, which is blocked in this step", tool)}
	}
	if _, ok := think.Tool(tool); ok {
		return nil
	}
	names := make([]string, len(think.Tools))
	for i, info := range think.Tools {
		names[i] = info.Name
	}
	return invalidOutput(fmt.Sprintf("there is no tool %q; there are: %s", tool, fieldOr(strings.Join(names, ", "), "none")))
}

func invalidOutput(message string) error {
	return &StepError{Code: CodeModelInvalidOutput, Message: message}
}

func toProtoAuditLog(log AuditLog) *runtimev1.ToolCall {
	status := "done"
	if log.Failed {
		status = "failed"
	}
	call := &runtimev1.ToolCall{
		Id: valid(log.ID), Tool: valid(log.Tool), Status: status,
		InputPayload: valid(string(log.Input)), OutputPayload: valid(string(log.Output)),
		DurationMs: uint32(max(0, min(log.Duration.Milliseconds(), 1<<32-1))),
	}
	if !log.Started.IsZero() {
		call.StartedAtUnixMs = log.Started.UnixMilli()
	}
	return call
}

// valid makes text that protobuf takes of any text; a model may cut a character in two.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func validMap(texts map[string]string) map[string]string {
	clean := make(map[string]string, len(texts))
	for key, text := range texts {
		clean[valid(key)] = valid(text)
	}
	return clean
}
