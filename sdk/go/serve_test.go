package openeaap_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	openeaap "github.com/openeaap/openeaap/sdk/go"
	"github.com/openeaap/openeaap/sdk/go/runtimev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// testLimit of whatever a test waits for.
const testLimit = 10 * time.Second

// plugin is a served one, with a real connection to it.
type plugin struct {
	runtimev1.RuntimeServiceClient
	conn   *grpc.ClientConn
	listen string
	log    *syncBuffer
	stop   context.CancelFunc
	ended  chan error
}

type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// environ makes an environment of the given variables alone.
func environ(variables map[string]string) openeaap.ServeOption {
	return openeaap.WithEnviron(func(name string) string { return variables[name] })
}

// serve starts a plugin at a socket of its own and connects to it as the control plane would.
func serve(t *testing.T, variables map[string]string, opts ...openeaap.ServeOption) *plugin {
	t.Helper()
	if variables["OPENEAAP_PLUGIN_LISTEN"] == "" {
		variables = withVariable(variables, "OPENEAAP_PLUGIN_LISTEN", "unix:"+filepath.Join(t.TempDir(), "s"))
	}
	p := launch(t, variables, opts...)
	p.connect(t, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return p
}

func withVariable(variables map[string]string, name, value string) map[string]string {
	more := map[string]string{name: value}
	for n, v := range variables {
		more[n] = v
	}
	return more
}

// launch serves without connecting.
func launch(t *testing.T, variables map[string]string, opts ...openeaap.ServeOption) *plugin {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	output, input := io.Pipe()
	p := &plugin{stop: stop, ended: make(chan error, 1), log: &syncBuffer{}}
	opts = append([]openeaap.ServeOption{
		environ(variables),
		openeaap.WithOutput(input),
		openeaap.WithLogger(slog.New(slog.NewJSONHandler(p.log, nil))),
	}, opts...)
	go func() {
		err := openeaap.Serve(ctx, opts...)
		p.ended <- err
		input.CloseWithError(errors.Join(errors.New("Serve ended"), err))
	}()
	t.Cleanup(func() {
		stop()
		if p.conn != nil {
			p.conn.Close()
		}
	})
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err != nil {
		t.Fatalf("no line on standard output: %v", err)
	}
	var announced struct {
		Plugin int    `json:"openeaap_plugin"`
		Listen string `json:"listen"`
	}
	if err := json.Unmarshal(line, &announced); err != nil || announced.Plugin != 1 {
		t.Fatalf("standard output said %q (%v)", line, err)
	}
	p.listen = announced.Listen
	return p
}

func (p *plugin) connect(t *testing.T, opts ...grpc.DialOption) {
	t.Helper()
	opts = append(opts, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	conn, err := grpc.NewClient(p.listen, opts...)
	if err != nil {
		t.Fatal(err)
	}
	p.conn = conn
	p.RuntimeServiceClient = runtimev1.NewRuntimeServiceClient(conn)
}

func (p *plugin) waitEnd(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(testLimit + 5*time.Second):
		t.Fatal("Serve did not end")
		return nil
	}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	t.Cleanup(cancel)
	return ctx
}

func toolStep(tool, args string) *runtimev1.ExecuteStepRequest {
	return &runtimev1.ExecuteStepRequest{
		RunId: "run-1", StepId: "step-1", AgentId: "agent-1", TenantId: "tenant-1", StepNo: 2,
		Kind: runtimev1.StepKind_STEP_KIND_TOOL, Tool: tool, InputPayload: args, IdempotencyKey: "run-1:2",
		Principal: &runtimev1.Principal{UserId: "ada", Groups: []string{"security-ops"}, Clearance: 2},
	}
}

func (p *plugin) do(t *testing.T, request *runtimev1.ExecuteStepRequest) *runtimev1.ExecuteStepResponse {
	t.Helper()
	response, err := p.ExecuteStep(testContext(t), request)
	if err != nil {
		t.Fatalf("ExecuteStep: %v", err)
	}
	return response
}

type echoInput struct {
	Text string `json:"text" description:"What to say"`
}

func echoTool(opts ...openeaap.ToolOption) *openeaap.Tool {
	return openeaap.NewTool("echo", "Says it again.", func(_ context.Context, _ *openeaap.ToolCall, in echoInput) (echoInput, error) {
		return in, nil
	}, append([]openeaap.ToolOption{openeaap.WithEffect(openeaap.Read)}, opts...)...)
}

func TestHandshakeAgreesOnTheHighestCommonVersion(t *testing.T) {
	p := serve(t, nil, openeaap.WithTools(echoTool()), openeaap.WithName("own"), openeaap.WithVersion("1.2.3"))
	for _, test := range []struct {
		name   string
		theirs []uint32
		want   uint32
	}{
		{"today's", []uint32{1}, 1},
		{"of the future as well", []uint32{99, 1}, 1},
		{"of the future alone", []uint32{99}, 0},
		{"none", nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer, err := p.Handshake(testContext(t), &runtimev1.HandshakeRequest{ProtocolVersions: test.theirs})
			if err != nil {
				t.Fatal(err)
			}
			if answer.GetProtocolVersion() != test.want {
				t.Errorf("version %d, want %d", answer.GetProtocolVersion(), test.want)
			}
			if got := answer.GetProtocolVersions(); len(got) != 1 || got[0] != 1 {
				t.Errorf("its own list is %v", got)
			}
			if answer.GetName() != "own" || answer.GetVersion() != "1.2.3" || answer.GetSdk().GetLanguage() != "go" {
				t.Errorf("name %q, version %q, sdk %q", answer.GetName(), answer.GetVersion(), answer.GetSdk().GetLanguage())
			}
			if answer.GetMaxMessageBytes() != 32<<20 || answer.GetMaxConcurrentSteps() != 256 {
				t.Errorf("limits %d bytes, %d steps", answer.GetMaxMessageBytes(), answer.GetMaxConcurrentSteps())
			}
		})
	}
}

func TestHandshakeOffersTheToolAsItIs(t *testing.T) {
	tool := openeaap.NewTool("block", "Blocks an address.", func(context.Context, *openeaap.ToolCall, echoInput) (echoInput, error) { return echoInput{}, nil },
		openeaap.WithEffect(openeaap.Destructive), openeaap.WithIdempotent(), openeaap.WithTimeout(1500*time.Millisecond),
		openeaap.WithSecrets("FIREWALL_KEY"), openeaap.WithUntrustedOutput(), openeaap.WithVersion("2.0.0"), openeaap.WithInferredOutputSchema())
	p := serve(t, map[string]string{"OPENEAAP_PLUGIN_NAME": "registered"}, openeaap.WithTools(tool), openeaap.WithName("own"))
	answer, err := p.Handshake(testContext(t), &runtimev1.HandshakeRequest{ProtocolVersions: []uint32{1}})
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetName() != "registered" || answer.GetStreaming() {
		t.Errorf("name %q, streaming %v", answer.GetName(), answer.GetStreaming())
	}
	spec := answer.GetTools()[0]
	if spec.GetName() != "block" || spec.GetVersion() != "2.0.0" || spec.GetEffect() != runtimev1.ToolEffect_TOOL_EFFECT_DESTRUCTIVE ||
		!spec.GetIdempotent() || spec.GetTimeoutMs() != 1500 || !spec.GetUntrustedOutput() || spec.GetSecrets()[0] != "FIREWALL_KEY" {
		t.Errorf("the spec came as %v", spec)
	}
	const schema = `{"type":"object","properties":{"text":{"type":"string","description":"What to say"}},"required":["text"],"additionalProperties":false}`
	if spec.GetInputSchema() != schema || spec.GetOutputSchema() != schema {
		t.Errorf("schemas %s and %s", spec.GetInputSchema(), spec.GetOutputSchema())
	}
}

func TestServeRefusesWhatTheHandshakeWouldBeRefusedFor(t *testing.T) {
	fn := func(context.Context, *openeaap.ToolCall, echoInput) (any, error) { return nil, nil }
	type unwritable struct {
		Done chan int `json:"done"`
	}
	for _, test := range []struct {
		name string
		opts []openeaap.ServeOption
		want []string
	}{
		{"nothing", nil, []string{"WithTools or WithAgents"}},
		{"a bad name", []openeaap.ServeOption{openeaap.WithTools(openeaap.NewTool("bad name", "d", fn))}, []string{`"bad name"`, "letters, digits, _ or -"}},
		{"a name too long", []openeaap.ServeOption{openeaap.WithTools(openeaap.NewTool(strings.Repeat("x", 65), "d", fn))}, []string{"1 to 64"}},
		{"no description", []openeaap.ServeOption{openeaap.WithTools(openeaap.NewTool("a", "", fn))}, []string{`"a"`, "description"}},
		{"two of one name", []openeaap.ServeOption{openeaap.WithTools(echoTool(), echoTool())}, []string{`two tools`, `"echo"`}},
		{"no function", []openeaap.ServeOption{openeaap.WithTools(openeaap.NewTool[echoInput, any]("a", "d", nil))}, []string{"function"}},
		{"a type that is no JSON", []openeaap.ServeOption{openeaap.WithTools(openeaap.NewTool("a", "d",
			func(context.Context, *openeaap.ToolCall, unwritable) (any, error) { return nil, nil }))}, []string{"unwritable.Done", "chan int"}},
		{"arguments that are no object", []openeaap.ServeOption{openeaap.WithTools(openeaap.NewTool("a", "d",
			func(context.Context, *openeaap.ToolCall, []string) (any, error) { return nil, nil }))}, []string{"struct or a map"}},
		{"a schema that is none", []openeaap.ServeOption{openeaap.WithTools(openeaap.NewTool("a", "d", fn, openeaap.WithInputSchema(`{"type":"nonsense"}`)))}, []string{"input schema"}},
		{"a schema that reads files", []openeaap.ServeOption{openeaap.WithTools(openeaap.NewTool("a", "d", fn, openeaap.WithInputSchema(`{"$ref":"file:///etc/passwd"}`)))}, []string{"outside of the schema"}},
		{"an output schema that is none", []openeaap.ServeOption{openeaap.WithTools(echoTool(openeaap.WithOutputSchema("{")))}, []string{"output schema", "not JSON"}},
		{"an unknown effect", []openeaap.ServeOption{openeaap.WithTools(echoTool(openeaap.WithEffect(9)))}, []string{"effect 9"}},
		{"no time", []openeaap.ServeOption{openeaap.WithTools(echoTool(openeaap.WithTimeout(0)))}, []string{"timeout"}},
		{"no steps", []openeaap.ServeOption{openeaap.WithTools(echoTool()), openeaap.WithMaxConcurrentSteps(0)}, []string{"WithMaxConcurrentSteps"}},
		{"two agents of one name", []openeaap.ServeOption{openeaap.WithAgents(finishing("a"), finishing("a"))}, []string{`two agents`, `"a"`}},
		{"an agent without a name", []openeaap.ServeOption{openeaap.WithAgents(finishing(""))}, []string{"no name"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := openeaap.Serve(testContext(t), append(test.opts, environ(map[string]string{"OPENEAAP_PLUGIN_LISTEN": "127.0.0.1:0"}), openeaap.WithOutput(io.Discard))...)
			if err == nil {
				t.Fatal("it was served")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func finishing(name string) *openeaap.Agent {
	return openeaap.NewAgent(name, func(context.Context, *openeaap.Think) (*openeaap.ThinkResult, error) {
		return openeaap.Finish("done"), nil
	})
}

func TestTheTokenIsAskedOfEveryoneButHealthProbes(t *testing.T) {
	p := serve(t, map[string]string{"OPENEAAP_PLUGIN_TOKEN": "right"}, openeaap.WithTools(echoTool()), openeaap.WithAgents(finishing("a")))
	for _, test := range []struct {
		name   string
		header []string
		want   codes.Code
	}{
		{"right", []string{"authorization", "Bearer right"}, codes.OK},
		{"right, another case of the scheme", []string{"authorization", "bearer right"}, codes.OK},
		{"none", nil, codes.Unauthenticated},
		{"wrong", []string{"authorization", "Bearer wrong"}, codes.Unauthenticated},
		{"a beginning of it", []string{"authorization", "Bearer righ"}, codes.Unauthenticated},
		{"empty", []string{"authorization", "Bearer "}, codes.Unauthenticated},
		{"another scheme", []string{"authorization", "Basic right"}, codes.Unauthenticated},
		{"twice", []string{"authorization", "Bearer right", "authorization", "Bearer wrong"}, codes.Unauthenticated},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := metadata.AppendToOutgoingContext(testContext(t), test.header...)
			_, handshake := p.Handshake(ctx, &runtimev1.HandshakeRequest{ProtocolVersions: []uint32{1}})
			_, health := p.HealthCheck(ctx, &runtimev1.HealthCheckRequest{})
			_, execute := p.ExecuteStep(ctx, toolStep("echo", `{"text":"x"}`))
			stream, err := p.ExecuteStepStream(ctx, toolStep("echo", `{"text":"x"}`))
			if err == nil {
				_, err = stream.Recv()
			}
			for method, err := range map[string]error{"Handshake": handshake, "HealthCheck": health, "ExecuteStep": execute, "ExecuteStepStream": err} {
				if status.Code(err) != test.want {
					t.Errorf("%s: %v, want %v", method, err, test.want)
				}
			}
			probe, err := grpc_health_v1.NewHealthClient(p.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			if err != nil || probe.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
				t.Errorf("probe: %v, %v", probe, err)
			}
		})
	}
	if strings.Contains(p.log.String(), "right") {
		t.Error("the log holds the token")
	}
}

func TestAnUnknownKindOfStepIsAnInvalidArgument(t *testing.T) {
	p := serve(t, nil, openeaap.WithTools(echoTool()))
	for _, kind := range []runtimev1.StepKind{runtimev1.StepKind_STEP_KIND_UNSPECIFIED, 77} {
		request := toolStep("echo", `{"text":"x"}`)
		request.Kind = kind
		_, err := p.ExecuteStep(testContext(t), request)
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "kind") {
			t.Errorf("kind %v: %v", kind, err)
		}
	}
}

func TestAStreamIsUnimplementedWithoutAgents(t *testing.T) {
	p := serve(t, nil, openeaap.WithTools(echoTool()))
	stream, err := p.ExecuteStepStream(testContext(t), toolStep("echo", `{"text":"x"}`))
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}

func TestMessagesOf32MiBPassAndLargerOnesHarmNobody(t *testing.T) {
	p := serve(t, nil, openeaap.WithTools(echoTool()))
	text := strings.Repeat("x", 12<<20)
	response := p.do(t, toolStep("echo", `{"text":"`+text+`"}`))
	if len(response.GetOutputPayload()) < len(text) {
		t.Errorf("%d bytes and %v", len(response.GetOutputPayload()), response.GetError())
	}
	_, err := p.ExecuteStep(testContext(t), toolStep("echo", `{"text":"`+strings.Repeat("x", 33<<20)+`"}`))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("33 MiB: %v", status.Code(err))
	}
	p.do(t, toolStep("echo", `{"text":"still there"}`))
}

func TestTooManyStepsAreOverloaded(t *testing.T) {
	started, release := make(chan struct{}, 2), make(chan struct{})
	slow := openeaap.NewTool("slow", "Waits.", func(context.Context, *openeaap.ToolCall, struct{}) (string, error) {
		started <- struct{}{}
		<-release
		return "ok", nil
	})
	p := serve(t, nil, openeaap.WithTools(slow, echoTool()), openeaap.WithMaxConcurrentSteps(2))
	var under sync.WaitGroup
	for range 2 {
		under.Add(1)
		go func() {
			defer under.Done()
			if response, err := p.ExecuteStep(testContext(t), toolStep("slow", `{}`)); err != nil || response.GetOutputPayload() != `"ok"` {
				t.Error(response, err)
			}
		}()
	}
	<-started
	<-started
	refused := p.do(t, toolStep("echo", `{"text":"x"}`)).GetError()
	if refused.GetCode() != runtimev1.ErrorCode_ERROR_CODE_OVERLOADED || !refused.GetRetryable() {
		t.Error(refused)
	}
	close(release)
	under.Wait()
	p.do(t, toolStep("echo", `{"text":"room again"}`))
}

func TestHealthSaysWhatTheProgramSays(t *testing.T) {
	var mu sync.Mutex
	var problem error
	p := serve(t, nil, openeaap.WithTools(echoTool()), openeaap.WithHealthCheck(func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		return problem
	}))
	for _, test := range []struct {
		problem error
		serving bool
		detail  string
	}{
		{nil, true, ""},
		{openeaap.Unavailable("the firewall is away"), false, "the firewall is away"},
		{errors.New("dial tcp 10.0.0.1: refused"), false, "the plugin's own check failed; its log says more"},
	} {
		mu.Lock()
		problem = test.problem
		mu.Unlock()
		health, err := p.HealthCheck(testContext(t), &runtimev1.HealthCheckRequest{})
		if err != nil || health.GetServing() != test.serving || health.GetDetail() != test.detail {
			t.Errorf("%v: %v, %v", test.problem, health, err)
		}
	}
}

func TestTheEndOfTheContextLetsStepsFinish(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	slow := openeaap.NewTool("slow", "Waits.", func(ctx context.Context, _ *openeaap.ToolCall, _ struct{}) (string, error) {
		close(started)
		select {
		case <-release:
			return "finished", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	p := serve(t, nil, openeaap.WithTools(slow))
	answer := make(chan *runtimev1.ExecuteStepResponse, 1)
	go func() {
		response, err := p.ExecuteStep(testContext(t), toolStep("slow", `{}`))
		if err != nil {
			t.Error(err)
		}
		answer <- response
	}()
	<-started
	p.stop()
	// A new step is refused as soon as the drain has begun, on this connection or by the lack of one.
	ctx := testContext(t)
	for ; ; time.Sleep(5 * time.Millisecond) {
		response, err := p.ExecuteStep(ctx, toolStep("none", `{}`))
		if status.Code(err) == codes.Unavailable {
			break
		}
		if refused := response.GetError(); refused.GetCode() == runtimev1.ErrorCode_ERROR_CODE_OVERLOADED && refused.GetRetryable() {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("new steps were taken while draining")
		}
	}
	close(release)
	if response := <-answer; response.GetOutputPayload() != `"finished"` {
		t.Error(response)
	}
	if err := p.waitEnd(t); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}
