package openeaap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// runtimeService answers the calls of the control plane. It remembers nothing between two steps.
type runtimeService struct {
	runtimev1.UnimplementedRuntimeServiceServer

	tools    map[string]*Tool
	agents   map[string]*Agent
	offer    *runtimev1.HandshakeResponse
	maxSteps int
	health   func(ctx context.Context) error
	log      *slog.Logger

	draining atomic.Bool
	underWay atomic.Int64
}

func newRuntimeService(config serveConfig) *runtimeService {
	service := &runtimeService{
		tools:    map[string]*Tool{},
		agents:   map[string]*Agent{},
		maxSteps: config.maxSteps,
		health:   config.health,
		log:      config.log,
	}
	offer := &runtimev1.HandshakeResponse{
		ProtocolVersions:   []uint32{protocolVersion},
		Name:               config.name,
		Version:            config.version,
		Sdk:                &runtimev1.Sdk{Language: "go", Version: sdkVersion},
		Streaming:          len(config.agents) > 0,
		MaxMessageBytes:    maxMessageBytes,
		MaxConcurrentSteps: uint32(config.maxSteps),
	}
	for _, tool := range config.tools {
		service.tools[tool.Name()] = tool
		offer.Tools = append(offer.Tools, tool.spec)
	}
	for _, agent := range config.agents {
		service.agents[agent.Name()] = agent
		offer.Agents = append(offer.Agents, agent.spec)
	}
	service.offer = offer
	return service
}

// Handshake tells what the plugin offers, in a version that both know or in none.
func (s *runtimeService) Handshake(_ context.Context, request *runtimev1.HandshakeRequest) (*runtimev1.HandshakeResponse, error) {
	answer := &runtimev1.HandshakeResponse{
		ProtocolVersions:   s.offer.ProtocolVersions,
		Name:               s.offer.Name,
		Version:            s.offer.Version,
		Sdk:                s.offer.Sdk,
		MaxMessageBytes:    s.offer.MaxMessageBytes,
		MaxConcurrentSteps: s.offer.MaxConcurrentSteps,
	}
	if !slices.Contains(request.GetProtocolVersions(), protocolVersion) {
		s.log.Warn("the control plane speaks no protocol version of this plugin", "theirs", request.GetProtocolVersions(), "ours", s.offer.ProtocolVersions)
		return answer, nil
	}
	answer.ProtocolVersion = protocolVersion
	answer.Tools, answer.Agents, answer.Streaming = s.offer.Tools, s.offer.Agents, s.offer.Streaming
	return answer, nil
}

// HealthCheck asks the program, if it has something to say.
func (s *runtimeService) HealthCheck(ctx context.Context, _ *runtimev1.HealthCheckRequest) (*runtimev1.HealthCheckResponse, error) {
	if s.draining.Load() {
		return &runtimev1.HealthCheckResponse{Detail: "it is stopping"}, nil
	}
	if s.health != nil {
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		if err := s.health(ctx); err != nil {
			s.log.Warn("health check failed", "error", err)
			return &runtimev1.HealthCheckResponse{Detail: safeDetail(err)}, nil
		}
	}
	return &runtimev1.HealthCheckResponse{Serving: true}, nil
}

// ExecuteStep executes one step, without showing its text as it is produced.
func (s *runtimeService) ExecuteStep(ctx context.Context, request *runtimev1.ExecuteStepRequest) (*runtimev1.ExecuteStepResponse, error) {
	return s.execute(ctx, request, func(string) {})
}

// ExecuteStepStream is ExecuteStep with the text that an agent emits.
func (s *runtimeService) ExecuteStepStream(request *runtimev1.ExecuteStepRequest, stream grpc.ServerStreamingServer[runtimev1.ExecuteStepEvent]) error {
	if !s.offer.GetStreaming() {
		return status.Error(codes.Unimplemented, "this plugin hosts no agent and streams nothing, as its handshake says")
	}
	deltas := &deltaSender{stream: stream}
	response, err := s.execute(stream.Context(), request, deltas.send)
	deltas.close()
	if err != nil {
		return err
	}
	return stream.Send(&runtimev1.ExecuteStepEvent{Event: &runtimev1.ExecuteStepEvent_Response{Response: response}})
}

// deltaSender keeps deltas of several goroutines apart and lets none through after the end.
type deltaSender struct {
	mu     sync.Mutex
	stream grpc.ServerStreamingServer[runtimev1.ExecuteStepEvent]
	closed bool
}

func (d *deltaSender) send(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || text == "" {
		return
	}
	// Nobody reads any more: the step's context says so too.
	if err := d.stream.Send(&runtimev1.ExecuteStepEvent{Event: &runtimev1.ExecuteStepEvent_Delta{Delta: valid(text)}}); err != nil {
		d.closed = true
	}
}

func (d *deltaSender) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

// execute is the one way of a step, streamed or not.
func (s *runtimeService) execute(ctx context.Context, request *runtimev1.ExecuteStepRequest, emit func(string)) (*runtimev1.ExecuteStepResponse, error) {
	perform, err := s.performerOf(request.GetKind())
	if err != nil {
		return nil, err
	}
	if s.draining.Load() {
		// Not the status UNAVAILABLE: of a call that had been sent, that leaves open what it did.
		return failedStep(&StepError{Code: CodeOverloaded, Message: "the plugin is stopping and takes no new steps", Retryable: true}), nil
	}
	defer s.underWay.Add(-1)
	if s.underWay.Add(1) > int64(s.maxSteps) {
		return failedStep(&StepError{Code: CodeOverloaded, Message: fmt.Sprintf("%d steps are under way and this plugin takes no more", s.maxSteps), Retryable: true}), nil
	}
	clean := newScrubber(secretValues(request))
	log := clean.logger(s.log).With("run_id", request.GetRunId(), "step_id", request.GetStepId())
	response, err := recovered(log, func() (*runtimev1.ExecuteStepResponse, error) {
		return perform(ctx, step{request: request, log: log, emit: func(text string) { emit(clean.text(text)) }})
	})
	if err == nil {
		return response, nil
	}
	if ctx.Err() != nil {
		// Nobody waits for the answer: what became of the step is for the control plane to judge.
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return failedStep(toStepError(err, log, clean)), nil
}

// step is what a tool call and a think are made from.
type step struct {
	request *runtimev1.ExecuteStepRequest
	log     *slog.Logger
	emit    func(text string)
}

type performer func(ctx context.Context, step step) (*runtimev1.ExecuteStepResponse, error)

func (s *runtimeService) performerOf(kind runtimev1.StepKind) (performer, error) {
	switch kind {
	case runtimev1.StepKind_STEP_KIND_TOOL:
		return s.callTool, nil
	case runtimev1.StepKind_STEP_KIND_THINK:
		return s.think, nil
	default:
		return nil, status.Errorf(codes.InvalidArgument, "kind: %s is no kind of step that this plugin knows; it knows STEP_KIND_THINK and STEP_KIND_TOOL", kind)
	}
}

func (s *runtimeService) callTool(ctx context.Context, step step) (*runtimev1.ExecuteStepResponse, error) {
	request := step.request
	tool, ok := s.tools[request.GetTool()]
	if !ok {
		return nil, &StepError{Code: CodeInvalidInput, Message: fmt.Sprintf("tool: there is no %q; there are: %s", request.GetTool(), namesOf(s.tools))}
	}
	if err := mayCall(tool, request.GetConstraints()); err != nil {
		return nil, err
	}
	secrets, err := secretsFor(tool, request.GetEphemeralCredentials())
	if err != nil {
		return nil, err
	}
	if _, hasDeadline := ctx.Deadline(); !hasDeadline {
		timeout := defaultToolTimeout
		if ms := tool.spec.GetTimeoutMs(); ms > 0 {
			timeout = time.Duration(ms) * time.Millisecond
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	call := &ToolCall{
		RunID:          request.GetRunId(),
		StepID:         request.GetStepId(),
		StepNo:         int(request.GetStepNo()),
		TenantID:       request.GetTenantId(),
		AgentID:        request.GetAgentId(),
		IdempotencyKey: request.GetIdempotencyKey(),
		Principal:      fromProtoPrincipal(request.GetPrincipal()),
		DryRun:         request.GetConstraints().GetDryRun(),
		TraceContext:   request.GetTraceContext(),
		Secrets:        secrets,
		Log:            step.log.With("tool", tool.Name()),
		lineage:        &lineage{},
	}
	output, err := tool.call(ctx, call, request.GetInputPayload())
	if err != nil {
		return nil, fmt.Errorf("tool %s: %w", tool.Name(), err)
	}
	return &runtimev1.ExecuteStepResponse{OutputPayload: output, Lineage: call.lineage.all()}, nil
}

// mayCall refuses what the step's constraints forbid. The control plane does so as well; a plugin
// does not depend on it.
func mayCall(tool *Tool, constraints *runtimev1.GovernanceConstraints) error {
	if slices.Contains(constraints.GetBlockedTools(), tool.Name()) {
		return &StepError{Code: CodeConstraintViolated, Message: fmt.Sprintf("the tool %q is blocked in this step", tool.Name())}
	}
	reads := tool.spec.GetEffect() == runtimev1.ToolEffect_TOOL_EFFECT_READ
	if constraints.GetDryRun() && !reads && !tool.handlesDryRun {
		return &StepError{Code: CodeConstraintViolated, Message: fmt.Sprintf("this is a dry run, and the tool %q could not but have its effect", tool.Name())}
	}
	return nil
}

// secretsFor gives a tool the secrets that it has named and no others.
func secretsFor(tool *Tool, credentials map[string]string) (Secrets, error) {
	secrets := Secrets{values: map[string]Secret{}}
	for _, name := range tool.spec.GetSecrets() {
		value, ok := credentials[name]
		if !ok {
			return Secrets{}, Failed(fmt.Sprintf("the secret %q that the tool needs has not come with the call: is it set at the platform?", name))
		}
		secrets.values[name] = newSecret(value)
	}
	return secrets, nil
}

func (s *runtimeService) think(ctx context.Context, step step) (*runtimev1.ExecuteStepResponse, error) {
	agent, err := s.agentOf(step.request.GetAgent().GetEntrypoint())
	if err != nil {
		return nil, err
	}
	think, err := fromProtoThink(step.request)
	if err != nil {
		return nil, err
	}
	think.emit = step.emit
	think.Log = step.log.With("agent", agent.Name())
	result, err := agent.think(ctx, think)
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", agent.Name(), err)
	}
	return toProtoResponse(think, result)
}

func (s *runtimeService) agentOf(entrypoint string) (*Agent, error) {
	if agent, ok := s.agents[entrypoint]; ok {
		return agent, nil
	}
	if entrypoint == "" && len(s.agents) == 1 {
		for _, only := range s.agents {
			return only, nil
		}
	}
	if entrypoint == "" {
		return nil, &StepError{Code: CodeInvalidInput, Message: "agent.entrypoint: is empty, and this plugin does not host exactly one agent; it hosts: " + namesOf(s.agents)}
	}
	return nil, &StepError{Code: CodeInvalidInput, Message: fmt.Sprintf("agent.entrypoint: there is no agent %q; there are: %s", entrypoint, namesOf(s.agents))}
}

// recovered turns a panic into an error: one broken tool must not end the others.
func recovered(log *slog.Logger, perform func() (*runtimev1.ExecuteStepResponse, error)) (response *runtimev1.ExecuteStepResponse, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			log.Error("a step panicked", "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
			response, err = nil, &StepError{Code: CodeInternal, Message: "the plugin broke while executing the step"}
		}
	}()
	return perform()
}

// toStepError is the only place where an error becomes what the platform is told. Only a StepError
// was meant to be shown; of any other the type is told and the text is logged.
func toStepError(err error, log *slog.Logger, clean scrubber) *StepError {
	var known *StepError
	if !errors.As(err, &known) {
		log.Error("a step failed", "error", err.Error())
		known = &StepError{Code: CodeInternal, Message: fmt.Sprintf("something unexpected happened in the plugin (%T); its log says more", innermost(err))}
	} else {
		log.Info("a step failed", "code", string(known.Code), "error", err.Error(), "cause", causeText(known))
	}
	return &StepError{Code: known.Code, Message: clean.text(known.Message), Retryable: known.Retryable}
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func causeText(e *StepError) string {
	if e.Cause == nil {
		return ""
	}
	return e.Cause.Error()
}

func failedStep(e *StepError) *runtimev1.ExecuteStepResponse {
	return &runtimev1.ExecuteStepResponse{Error: &runtimev1.StepError{Code: toProtoCode(e.Code), Message: cut(valid(e.Message)), Retryable: e.Retryable}}
}

// safeDetail shows the message of a StepError and of nothing else.
func safeDetail(err error) string {
	var known *StepError
	if errors.As(err, &known) {
		return cut(valid(known.Message))
	}
	return "the plugin's own check failed; its log says more"
}

func cut(text string) string {
	if len(text) <= maxErrorBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorBytes], "") + "…"
}

// secretValues are those of all credentials but the address of the gateway, which is no secret.
func secretValues(request *runtimev1.ExecuteStepRequest) []string {
	var values []string
	for name, value := range request.GetEphemeralCredentials() {
		if name != "OPENEAAP_GATEWAY_URL" {
			values = append(values, value)
		}
	}
	return values
}

func namesOf[T any](things map[string]T) string {
	names := make([]string, 0, len(things))
	for name := range things {
		names = append(names, name)
	}
	slices.Sort(names)
	return fieldOr(strings.Join(names, ", "), "none")
}
