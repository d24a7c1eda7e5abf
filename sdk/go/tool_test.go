package openeaap_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	openeaap "github.com/openeaap/openeaap/sdk/go"
	"github.com/openeaap/openeaap/sdk/go/runtimev1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type port struct {
	Number uint16 `json:"number"`
}

type scanInput struct {
	Host   string   `json:"host" jsonschema:"format=ipv4"`
	Ports  []port   `json:"ports,omitempty"`
	Mode   *string  `json:"mode" jsonschema:"enum=fast,enum=full"`
	Depth  int      `json:"depth,omitempty" jsonschema:"minimum=1,maximum=9"`
	Ignore []string `json:"ignore,omitempty" jsonschema:"maxItems=2"`
	Since  deadline `json:"since,omitzero"`
}

// deadline reads text in a way of its own.
type deadline struct{ at time.Time }

func (d *deadline) UnmarshalText(text []byte) error {
	at, err := time.Parse(time.DateOnly, string(text))
	d.at = at
	return err
}

func (d deadline) MarshalText() ([]byte, error) { return []byte(d.at.Format(time.DateOnly)), nil }

func TestArgumentsThatBreakTheSchemaNeverReachTheTool(t *testing.T) {
	scan := openeaap.NewTool("scan", "Scans.", func(_ context.Context, _ *openeaap.ToolCall, in scanInput) (string, error) {
		return in.Host, nil
	}, openeaap.WithEffect(openeaap.Read))
	p := serve(t, nil, openeaap.WithTools(scan))
	for _, test := range []struct {
		name, args string
		want       []string // of the message; none: it passes
	}{
		{"good", `{"host":"10.0.0.1","ports":[{"number":22}],"mode":"fast","depth":9,"since":"2026-01-31"}`, nil},
		{"only what is needed", `{"host":"10.0.0.1"}`, nil},
		{"null for a pointer", `{"host":"10.0.0.1","mode":null}`, nil},
		{"no JSON", `{"host":`, []string{"not JSON"}},
		{"nothing", ``, []string{"not JSON"}},
		{"two values", `{"host":"10.0.0.1"} {}`, []string{"not JSON"}},
		{"a list", `["10.0.0.1"]`, []string{"not a JSON object"}},
		{"null", `null`, []string{"not a JSON object"}},
		{"missing", `{}`, []string{"host: is missing"}},
		{"unknown", `{"host":"10.0.0.1","hots":1}`, []string{"hots: is not a known field"}},
		{"another case", `{"host":"10.0.0.1","Depth":1}`, []string{"Depth: is not a known field"}},
		{"wrong type", `{"host":7}`, []string{"host:", "string"}},
		{"wrong format", `{"host":"999.0.0.1"}`, []string{"host:", "ipv4"}},
		{"wrong type within", `{"host":"10.0.0.1","ports":[{"number":22},{"number":"x"}]}`, []string{"ports[1].number:", "integer"}},
		{"unknown within", `{"host":"10.0.0.1","ports":[{"number":22,"tcp":true}]}`, []string{"ports[0].tcp: is not a known field"}},
		{"missing within", `{"host":"10.0.0.1","ports":[{}]}`, []string{"ports[0].number: is missing"}},
		{"too large for its type", `{"host":"10.0.0.1","ports":[{"number":70000}]}`, []string{"ports", "number", "70000"}},
		{"not one of", `{"host":"10.0.0.1","mode":"slow"}`, []string{"mode:", "fast", "full"}},
		{"too small", `{"host":"10.0.0.1","depth":0}`, []string{"depth:", "1"}},
		{"too many", `{"host":"10.0.0.1","ignore":["a","b","c"]}`, []string{"ignore:", "maxItems"}},
		{"read in its own way", `{"host":"10.0.0.1","since":"31.1.2026"}`, []string{"cannot be read", "31.1.2026"}},
		{"several at once", `{"host":7,"depth":0}`, []string{"host:", "; ", "depth:"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			response := p.do(t, toolStep("scan", test.args))
			if test.want == nil {
				if response.GetError() != nil || response.GetOutputPayload() != `"10.0.0.1"` {
					t.Fatal(response)
				}
				return
			}
			if response.GetError().GetCode() != runtimev1.ErrorCode_ERROR_CODE_INVALID_INPUT || response.GetError().GetRetryable() {
				t.Fatal(response)
			}
			for _, want := range test.want {
				if !strings.Contains(response.GetError().GetMessage(), want) {
					t.Errorf("%q does not say %q", response.GetError().GetMessage(), want)
				}
			}
		})
	}
}

func TestACallKnowsWhereItComesFrom(t *testing.T) {
	var seen *openeaap.ToolCall
	tool := openeaap.NewTool("look", "Looks.", func(_ context.Context, call *openeaap.ToolCall, _ struct{}) (map[string]string, error) {
		seen = call
		call.AddLineage(openeaap.LineageRef{ChunkID: "c1", Title: "SOP", Source: "sop.md", Score: 0.5})
		return map[string]string{"html": "<b>&</b>"}, nil
	}, openeaap.WithEffect(openeaap.Read), openeaap.WithSecrets("KEY"))
	p := serve(t, nil, openeaap.WithTools(tool))
	request := toolStep("look", `{}`)
	request.TraceContext = map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	request.EphemeralCredentials = map[string]string{"KEY": "k-value", "OTHER": "o-value"}
	request.Constraints = &runtimev1.GovernanceConstraints{DryRun: true}
	response := p.do(t, request)
	if response.GetOutputPayload() != `{"html":"<b>&</b>"}` {
		t.Errorf("output %s", response.GetOutputPayload())
	}
	if ref := response.GetLineage()[0]; ref.GetChunkId() != "c1" || ref.GetScore() != 0.5 {
		t.Errorf("lineage %v", response.GetLineage())
	}
	if seen.RunID != "run-1" || seen.StepID != "step-1" || seen.StepNo != 2 || seen.AgentID != "agent-1" || seen.TenantID != "tenant-1" ||
		seen.IdempotencyKey != "run-1:2" || !seen.DryRun || seen.Principal.UserID != "ada" || seen.Principal.Clearance != 2 ||
		seen.TraceContext["traceparent"] != request.TraceContext["traceparent"] {
		t.Errorf("the call came as %+v", seen)
	}
	if seen.Secrets.Get("KEY") != "k-value" || seen.Secrets.Get("OTHER") != "" {
		t.Error("a tool gets the secrets that it has named, and no others")
	}
	for _, text := range []string{fmt.Sprint(seen.Secrets), fmt.Sprintf("%+v %#v", seen, seen), fmt.Sprintf("%+v", *seen), fmt.Sprintf("%#v", seen.Secrets)} {
		if strings.Contains(text, "k-value") {
			t.Errorf("%s shows the secret", text)
		}
	}
	if written, err := json.Marshal(seen.Secrets); err != nil || strings.Contains(string(written), "k-value") {
		t.Error(string(written), err)
	}
}

func TestEachErrorBecomesItsCode(t *testing.T) {
	const secret = `s3cr+t/"value"`
	cases := map[string]func() error{
		"failed":      func() error { return openeaap.Failed("no such host") },
		"wrapped":     func() error { return fmt.Errorf("looking up: %w", openeaap.Failed("no such host")) },
		"unavailable": func() error { return openeaap.Unavailable("the CMDB is away") },
		"invalid":     func() error { return openeaap.InvalidInput("hosts[2]", "is not ours") },
		"own":         func() error { return &openeaap.StepError{Code: "NO_SUCH_CODE", Message: "m"} },
		"leaking": func() error {
			return openeaap.Failed("GET https://x/?key=" + url.QueryEscape(secret) + " with " + secret + " was refused")
		},
		"plain": func() error {
			return &url.Error{Op: "Get", URL: "https://x/?key=" + url.QueryEscape(secret), Err: errors.New("refused")}
		},
		"panic": func() error { panic("it was " + secret) },
		"long":  func() error { return openeaap.Failed(strings.Repeat("高", 3000)) },
		"bytes": func() error { return openeaap.Failed("cut \xff here") },
	}
	tool := openeaap.NewTool("break", "Breaks.", func(_ context.Context, call *openeaap.ToolCall, in echoInput) (any, error) {
		call.Log.Info("about to break with "+secret, "secret", secret, "error", errors.New(secret))
		return nil, cases[in.Text]()
	}, openeaap.WithSecrets("KEY"))
	p := serve(t, nil, openeaap.WithTools(tool))
	for _, test := range []struct {
		name      string
		code      runtimev1.ErrorCode
		retryable bool
		message   string
	}{
		{"failed", runtimev1.ErrorCode_ERROR_CODE_TOOL_FAILED, false, "no such host"},
		{"wrapped", runtimev1.ErrorCode_ERROR_CODE_TOOL_FAILED, false, "no such host"},
		{"unavailable", runtimev1.ErrorCode_ERROR_CODE_TOOL_UNAVAILABLE, true, "the CMDB is away"},
		{"invalid", runtimev1.ErrorCode_ERROR_CODE_INVALID_INPUT, false, "hosts[2]: is not ours"},
		{"own", runtimev1.ErrorCode_ERROR_CODE_UNSPECIFIED, false, "m"},
		{"leaking", runtimev1.ErrorCode_ERROR_CODE_TOOL_FAILED, false, "GET https://x/?key=[secret] with [secret] was refused"},
		{"plain", runtimev1.ErrorCode_ERROR_CODE_INTERNAL, false, "something unexpected happened in the plugin (*errors.errorString); its log says more"},
		{"panic", runtimev1.ErrorCode_ERROR_CODE_INTERNAL, false, "the plugin broke while executing the step"},
		{"long", runtimev1.ErrorCode_ERROR_CODE_TOOL_FAILED, false, strings.Repeat("高", 1365) + "…"},
		{"bytes", runtimev1.ErrorCode_ERROR_CODE_TOOL_FAILED, false, "cut \uFFFD here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := toolStep("break", `{"text":"`+test.name+`"}`)
			request.EphemeralCredentials = map[string]string{"KEY": secret}
			failure := p.do(t, request).GetError()
			if failure.GetCode() != test.code || failure.GetRetryable() != test.retryable || failure.GetMessage() != test.message {
				t.Errorf("%v", failure)
			}
		})
	}
	log := p.log.String()
	if !strings.Contains(log, "about to break") || !strings.Contains(log, "refused") || !strings.Contains(log, "tool_test.go") {
		t.Errorf("the log does not say what happened: %s", log)
	}
	quoted, _ := json.Marshal(secret)
	for _, form := range []string{secret, url.QueryEscape(secret), string(quoted[1 : len(quoted)-1])} {
		if strings.Contains(log, form) {
			t.Errorf("the log holds the secret as %s", form)
		}
	}
}

func TestWhatCannotBeCalledIsRefusedWithTheReason(t *testing.T) {
	called := 0
	write := func(name string, opts ...openeaap.ToolOption) *openeaap.Tool {
		return openeaap.NewTool(name, "Changes something.", func(context.Context, *openeaap.ToolCall, struct{}) (string, error) {
			called++
			return "done", nil
		}, opts...)
	}
	p := serve(t, nil, openeaap.WithTools(write("block"), write("simulate", openeaap.WithDryRun()), write("keyed", openeaap.WithSecrets("KEY"))))
	for _, test := range []struct {
		name        string
		tool        string
		constraints *runtimev1.GovernanceConstraints
		code        runtimev1.ErrorCode
		message     string
	}{
		{"unknown", "blok", nil, runtimev1.ErrorCode_ERROR_CODE_INVALID_INPUT, "block, keyed, simulate"},
		{"blocked", "block", &runtimev1.GovernanceConstraints{BlockedTools: []string{"other", "block"}}, runtimev1.ErrorCode_ERROR_CODE_CONSTRAINT_VIOLATED, `"block" is blocked`},
		{"dry run", "block", &runtimev1.GovernanceConstraints{DryRun: true}, runtimev1.ErrorCode_ERROR_CODE_CONSTRAINT_VIOLATED, "dry run"},
		{"no secret", "keyed", nil, runtimev1.ErrorCode_ERROR_CODE_TOOL_FAILED, `"KEY"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := toolStep(test.tool, `{}`)
			request.Constraints = test.constraints
			failure := p.do(t, request).GetError()
			if failure.GetCode() != test.code || !strings.Contains(failure.GetMessage(), test.message) || failure.GetRetryable() {
				t.Error(failure)
			}
		})
	}
	if called != 0 {
		t.Errorf("%d calls were made", called)
	}
	request := toolStep("simulate", `{}`)
	request.Constraints = &runtimev1.GovernanceConstraints{DryRun: true}
	if p.do(t, request).GetOutputPayload() != `"done"` {
		t.Error("a tool that handles dry runs is called")
	}
}

func TestDeadlinesAndCancellationsReachTheTool(t *testing.T) {
	ended := make(chan error, 1)
	started := make(chan struct{}, 1)
	wait := openeaap.NewTool("wait", "Waits.", func(ctx context.Context, _ *openeaap.ToolCall, _ struct{}) (any, error) {
		started <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}, openeaap.WithTimeout(50*time.Millisecond))
	p := serve(t, nil, openeaap.WithTools(wait))

	t.Run("the deadline of the call", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, err := p.ExecuteStep(ctx, toolStep("wait", `{}`))
		if status.Code(err) != codes.DeadlineExceeded {
			t.Error(err)
		}
		<-started
		<-ended
	})
	t.Run("a cancelled call", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), testLimit)
		go func() {
			<-started
			cancel()
		}()
		if _, err := p.ExecuteStep(ctx, toolStep("wait", `{}`)); status.Code(err) != codes.Canceled {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("the tool's own timeout, for a call without a deadline", func(t *testing.T) {
		response, err := p.ExecuteStep(context.Background(), toolStep("wait", `{}`))
		if err != nil || response.GetError().GetCode() != runtimev1.ErrorCode_ERROR_CODE_INTERNAL || response.GetError().GetRetryable() {
			t.Error(response, err)
		}
	})
}
