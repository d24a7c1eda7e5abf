package openeaap_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	openeaap "github.com/openeaap/openeaap/sdk/go"
	"github.com/openeaap/openeaap/sdk/go/runtimev1"
	"google.golang.org/protobuf/proto"
)

func thinkStep(input string) *runtimev1.ExecuteStepRequest {
	return &runtimev1.ExecuteStepRequest{
		RunId: "run-1", StepId: "step-3", AgentId: "agent-1", TenantId: "tenant-1", StepNo: 3,
		Kind: runtimev1.StepKind_STEP_KIND_THINK, InputPayload: input,
		Tools: []*runtimev1.ToolSpec{{Name: "echo", Version: "1", Description: "d", InputSchema: `{"type":"object"}`, Effect: runtimev1.ToolEffect_TOOL_EFFECT_READ}, {Name: "block"}},
	}
}

// agentThat thinks as given, in one step.
func agentThat(think func(*openeaap.Think) (*openeaap.ThinkResult, error)) openeaap.ServeOption {
	return openeaap.WithAgents(openeaap.NewAgent("a", func(_ context.Context, t *openeaap.Think) (*openeaap.ThinkResult, error) { return think(t) }))
}

func TestAnAgentSeesTheWholeStep(t *testing.T) {
	var seen *openeaap.Think
	p := serve(t, nil, agentThat(func(think *openeaap.Think) (*openeaap.ThinkResult, error) {
		seen = think
		return openeaap.Finish(map[string]any{"ok": true}), nil
	}))
	request := thinkStep(`{"alert":"x"}`)
	request.EphemeralCredentials = map[string]string{"OPENEAAP_MODEL_TOKEN": "step-token", "OPENEAAP_GATEWAY_URL": "http://127.0.0.1:1/v1"}
	request.Constraints = &runtimev1.GovernanceConstraints{BlockedTools: []string{"shutdown"}, MaxTokens: 500}
	request.Principal = &runtimev1.Principal{UserId: "ada"}
	request.Agent = &runtimev1.AgentConfiguration{
		Name: "triage", Version: "2", Entrypoint: "a", Reasoning: "react", SystemPrompt: "You triage.", Settings: `{"depth":2}`,
		Model: &runtimev1.AgentConfiguration_Model{Name: "fast", Temperature: 0.25, MaxTokens: 900, ToolCalling: "native"},
	}
	request.Journal = []*runtimev1.JournalStep{
		{No: 1, StepId: "s1", Step: &runtimev1.JournalStep_Think_{Think: &runtimev1.JournalStep_Think{StrategyState: `1`, Proposal: &runtimev1.Proposal{Thought: "look", Calls: []*runtimev1.ProposedCall{{Id: "c1", Tool: "echo", Args: `{}`}}}}}},
		{No: 2, StepId: "s2", Step: &runtimev1.JournalStep_Act_{Act: &runtimev1.JournalStep_Act{CallId: "c1", Tool: "echo", Args: `{}`, Status: "done", Observation: `{"output":1}`, ThinkNo: 1}}},
		{No: 3, StepId: "s3", Step: &runtimev1.JournalStep_Think_{Think: &runtimev1.JournalStep_Think{Error: &runtimev1.StepError{Code: runtimev1.ErrorCode_ERROR_CODE_MODEL_INVALID_OUTPUT, Message: "no"}}}},
		{No: 4, StepId: "of a kind of the future"},
	}
	response := p.do(t, request)
	if response.GetProposal().GetOutput() != `{"ok":true}` || response.GetOutputPayload() != `{"ok":true}` {
		t.Fatal(response)
	}
	var input struct{ Alert string }
	var settings struct{ Depth int }
	var state int
	if err := errors.Join(seen.DecodeInput(&input), seen.DecodeSettings(&settings), seen.DecodeState(&state)); err != nil {
		t.Fatal(err)
	}
	if input.Alert != "x" || settings.Depth != 2 || state != 1 {
		t.Errorf("input %v, settings %v, state %v", input, settings, state)
	}
	if len(seen.Journal) != 3 || seen.Journal[0].Thought.Proposal.Calls[0].Tool != "echo" || string(seen.Journal[1].Act.Observation) != `{"output":1}` ||
		seen.Journal[2].Thought.Proposal != nil || seen.Journal[2].Thought.Err.Code != openeaap.CodeModelInvalidOutput {
		t.Errorf("journal %+v", seen.Journal)
	}
	if seen.Agent.Model != (openeaap.Model{Name: "fast", Temperature: 0.25, MaxTokens: 900, ToolCalling: "native"}) || seen.Agent.SystemPrompt != "You triage." ||
		seen.Constraints.MaxTokens != 500 || seen.Principal.UserID != "ada" || seen.Tools[0].Effect != openeaap.Read || seen.Tools[1].Effect != openeaap.Write {
		t.Errorf("the think came as %+v", seen)
	}
	if seen.GatewayURL != "http://127.0.0.1:1/v1" || seen.ModelToken.Reveal() != "step-token" {
		t.Error("the model's credentials did not come")
	}
	written, err := json.Marshal(seen.ModelToken)
	if text := fmt.Sprintf("%+v %#v %s", *seen, *seen, written); err != nil || strings.Contains(text, "step-token") {
		t.Errorf("%s shows the token", text)
	}
}

func TestAProposalIsCheckedBeforeItIsSent(t *testing.T) {
	for _, test := range []struct {
		name    string
		result  *openeaap.ThinkResult
		err     error
		code    runtimev1.ErrorCode
		message string
	}{
		{"nothing at all", nil, nil, runtimev1.ErrorCode_ERROR_CODE_INTERNAL, "unexpected"},
		{"an empty one", &openeaap.ThinkResult{}, nil, runtimev1.ErrorCode_ERROR_CODE_MODEL_INVALID_OUTPUT, "empty"},
		{"both", &openeaap.ThinkResult{Output: []byte(`1`), Calls: []openeaap.ProposedCall{openeaap.NewCall("echo", nil)}}, nil, runtimev1.ErrorCode_ERROR_CODE_MODEL_INVALID_OUTPUT, "both"},
		{"an output that is no JSON", &openeaap.ThinkResult{Output: []byte(`{`)}, nil, runtimev1.ErrorCode_ERROR_CODE_MODEL_INVALID_OUTPUT, "not JSON"},
		{"an output that cannot be written", openeaap.Finish(make(chan int)), nil, runtimev1.ErrorCode_ERROR_CODE_INTERNAL, "unexpected"},
		{"a state that cannot be written", &openeaap.ThinkResult{Thought: "t", State: make(chan int)}, nil, runtimev1.ErrorCode_ERROR_CODE_INTERNAL, "unexpected"},
		{"an unknown tool", openeaap.Call("ehco", nil), nil, runtimev1.ErrorCode_ERROR_CODE_MODEL_INVALID_OUTPUT, `no tool "ehco"; there are: echo, block`},
		{"a blocked tool", openeaap.Call("block", nil), nil, runtimev1.ErrorCode_ERROR_CODE_CONSTRAINT_VIOLATED, `"block"`},
		{"one id twice", openeaap.Calls(openeaap.ProposedCall{ID: "x", Tool: "echo"}, openeaap.ProposedCall{ID: "x", Tool: "echo"}), nil, runtimev1.ErrorCode_ERROR_CODE_MODEL_INVALID_OUTPUT, `"x"`},
		{"the model is away", nil, openeaap.ModelUnavailable("silence"), runtimev1.ErrorCode_ERROR_CODE_MODEL_UNAVAILABLE, "silence"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := serve(t, nil, agentThat(func(*openeaap.Think) (*openeaap.ThinkResult, error) { return test.result, test.err }))
			request := thinkStep(`"go"`)
			request.Constraints = &runtimev1.GovernanceConstraints{BlockedTools: []string{"block"}}
			failure := p.do(t, request).GetError()
			if failure.GetCode() != test.code || !strings.Contains(failure.GetMessage(), test.message) {
				t.Error(failure)
			}
		})
	}
}

func TestCallsGetIdsAndGoAsTheyAre(t *testing.T) {
	p := serve(t, nil, agentThat(func(*openeaap.Think) (*openeaap.ThinkResult, error) {
		result := openeaap.Calls(
			openeaap.NewCall("echo", map[string]string{"text": "<a>"}),
			openeaap.ProposedCall{ID: "call_1", Tool: "echo", Args: json.RawMessage(`{"not": JSON`)},
			openeaap.NewCall("block", struct{}{}),
		)
		result.Thought, result.State, result.Metadata = "two ways", []int{1}, map[string]string{"model": "m"}
		result.AuditLogs = []openeaap.AuditLog{{ID: "1", Tool: "own", Input: json.RawMessage(`{}`), Failed: true, Started: time.UnixMilli(1_700_000_000_000), Duration: 1500 * time.Millisecond}}
		return result, nil
	}))
	response := p.do(t, thinkStep(`"go"`))
	want := &runtimev1.Proposal{Thought: "two ways", Calls: []*runtimev1.ProposedCall{
		{Id: "call_2", Tool: "echo", Args: `{"text":"<a>"}`},
		{Id: "call_1", Tool: "echo", Args: `{"not": JSON`},
		{Id: "call_3", Tool: "block", Args: `{}`},
	}}
	if !proto.Equal(response.GetProposal(), want) || response.GetProposal().Output != nil {
		t.Error(response.GetProposal())
	}
	if log := response.GetAuditLogs()[0]; log.GetStatus() != "failed" || log.GetStartedAtUnixMs() != 1_700_000_000_000 || log.GetDurationMs() != 1500 {
		t.Error(log)
	}
	if response.GetStrategyState() != `[1]` || response.GetMetadata()["model"] != "m" {
		t.Error(response)
	}
}

func TestAThinkThatCannotBeExecutedSaysWhy(t *testing.T) {
	one := serve(t, nil, openeaap.WithAgents(finishing("first")))
	two := serve(t, nil, openeaap.WithAgents(finishing("first"), finishing("second")))
	for _, test := range []struct {
		name    string
		plugin  *plugin
		change  func(*runtimev1.ExecuteStepRequest)
		message string
	}{
		{"an unknown agent", one, func(r *runtimev1.ExecuteStepRequest) {
			r.Agent = &runtimev1.AgentConfiguration{Entrypoint: "frist"}
		}, `"frist"; there are: first`},
		{"no name among two", two, func(*runtimev1.ExecuteStepRequest) {}, "first, second"},
		{"an input that is no JSON", one, func(r *runtimev1.ExecuteStepRequest) { r.InputPayload = "{" }, "input_payload"},
		{"settings that are no object", one, func(r *runtimev1.ExecuteStepRequest) { r.Agent = &runtimev1.AgentConfiguration{Settings: `[1]`} }, "agent.settings"},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := thinkStep(`"go"`)
			test.change(request)
			failure := test.plugin.do(t, request).GetError()
			if failure.GetCode() != runtimev1.ErrorCode_ERROR_CODE_INVALID_INPUT || !strings.Contains(failure.GetMessage(), test.message) {
				t.Error(failure)
			}
		})
	}
	if response := one.do(t, thinkStep(`"go"`)); response.GetProposal().GetOutput() != `"done"` {
		t.Error("the only agent needs no name")
	}
}

func TestAStreamHoldsTheDeltasAndThenOneResponse(t *testing.T) {
	late := make(chan func(), 1)
	p := serve(t, nil, agentThat(func(think *openeaap.Think) (*openeaap.ThinkResult, error) {
		var writers sync.WaitGroup
		for range 4 {
			writers.Add(1)
			go func() {
				defer writers.Done()
				think.Emit("高")
				think.Emit("tok-" + think.ModelToken.Reveal())
			}()
		}
		writers.Wait()
		late <- func() { think.Emit("too late") }
		return openeaap.Finish("done"), nil
	}))
	request := thinkStep(`"go"`)
	request.EphemeralCredentials = map[string]string{"OPENEAAP_MODEL_TOKEN": "step-token"}
	stream, err := p.ExecuteStepStream(testContext(t), request)
	if err != nil {
		t.Fatal(err)
	}
	deltas := ""
	for range 8 {
		event, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		deltas += event.GetDelta()
	}
	if strings.Count(deltas, "高") != 4 || strings.Count(deltas, "tok-[secret]") != 4 {
		t.Errorf("deltas %q", deltas)
	}
	event, err := stream.Recv()
	if err != nil || event.GetResponse().GetProposal().GetOutput() != `"done"` {
		t.Fatal(event, err)
	}
	(<-late)()
	if event, err = stream.Recv(); err != io.EOF {
		t.Error(event, err)
	}
	if response := p.do(t, request); response.GetProposal().GetOutput() != `"done"` {
		t.Error("without a stream, text goes nowhere and nothing breaks")
	}
}
