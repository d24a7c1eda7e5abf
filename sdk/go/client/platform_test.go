package client_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	openeaap "github.com/openeaap/openeaap/sdk/go"
	"github.com/openeaap/openeaap/sdk/go/client"
)

const (
	serverFolder = "../../../cmd/openeaap-server"
	alert        = `{"alert_id":"SIEM-1","type":"brute force","src_ip":"198.51.100.7","host":"bastion-01"}`
	startLimit   = 60 * time.Second
	testLimit    = 30 * time.Second
)

// platform is a real server with the demo's agents, on a database of its own.
type platform struct {
	url, key, folder string
}

// TestThePlatform starts the server once for all that is asked of it.
func TestThePlatform(t *testing.T) {
	p := startPlatform(t)
	t.Run("a run from its start over an approval to its end", p.testRun)
	t.Run("a stream that is cut goes on after the last event", p.testCutStream)
	t.Run("errors have the code, the field and the cure", p.testErrors)
	t.Run("the same idempotency key is the same run", p.testIdempotency)
	t.Run("pages follow each other", p.testPages)
	t.Run("agents are created, published and found", p.testAgents)
	t.Run("tools and plugins are listed", p.testCatalog)
	t.Run("an agent and tools in Go are governed like all others", p.testHostedAgent)
	t.Run("a plugin is declared and removed", p.testDeclare)
	t.Run("a run that begins later is cancelled", p.testCancel)
	t.Run("the state folder and the environment say where it is", p.testConnection)
}

func startPlatform(t *testing.T) platform {
	t.Helper()
	if _, err := os.Stat(serverFolder); err != nil {
		t.Skip("this module is used without the repository of the platform")
	}
	program := filepath.Join(serverFolder, "dist/main.js")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%s is not built: run npm run build in the repository", program)
	}
	folder := stateFolder(t)
	program, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("node", program, "--json", "--data-dir", folder, "--demo", "--port", "0",
		"--config-dir", withGoPlugin(t, folder), "--policy-dir", withGoRole(t, folder))
	// Policies and knowledge are found from there.
	command.Dir = filepath.Join(serverFolder, "../..")
	// A clean environment: nothing of the machine's own settings may decide a test.
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "OPENEAAP_DRAIN_SECONDS=3"}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// The embedded database lives on when the server is killed, so it is asked to stop first.
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(startLimit, func() { _ = command.Process.Kill() })
		defer timer.Stop()
		_ = command.Wait()
	})
	late := time.AfterFunc(startLimit, func() { _ = command.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var ready struct {
			URL string `json:"url"`
			Key string `json:"api_key"`
		}
		if json.Unmarshal(lines.Bytes(), &ready) == nil && ready.URL != "" {
			go io.Copy(io.Discard, stdout)
			return platform{url: ready.URL, key: ready.Key, folder: folder}
		}
	}
	t.Fatalf("the server did not start:\n%s", stderr.String())
	return platform{}
}

// withGoPlugin is the platform's configuration with the conformance worker of this SDK as a plugin.
func withGoPlugin(t *testing.T, folder string) string {
	t.Helper()
	worker := filepath.Join(folder, "conformanceworker")
	build := exec.Command("go", "build", "-o", worker, "./internal/conformanceworker")
	build.Dir = ".."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return copied(t, filepath.Join(serverFolder, "../../configs"), filepath.Join(folder, "configs"), "plugins.yaml",
		fmt.Sprintf("plugins:\n  - name: go-conformance\n    type: runtime-worker\n    command: [%q]\n", worker))
}

// withGoRole is the platform's policy, and one that lets the owner of the first key use the plugin's tools.
func withGoRole(t *testing.T, folder string) string {
	t.Helper()
	return copied(t, filepath.Join(serverFolder, "../../policies"), filepath.Join(folder, "policies"), "go-conformance.yaml",
		"rbac:\n  roles:\n    - name: go-conformance\n      members: [\"group:security-ops\"]\n      tools: [\"conformance_*\"]\n      agents: [\"go-hosted\"]\n")
}

func copied(t *testing.T, from, to, more, text string) string {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, more), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// stateFolder can be entered by the account of the database server, which a folder of t.TempDir cannot.
func stateFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "openeaap-go-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o711); err != nil {
		t.Fatal(err)
	}
	return folder
}

func (p platform) client(t *testing.T, opts ...client.Option) *client.Client {
	t.Helper()
	made, err := client.New(append([]client.Option{client.WithURL(p.url), client.WithAPIKey(p.key), noEnvironment}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

var noEnvironment = client.WithEnviron(func(string) string { return "" })

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	t.Cleanup(cancel)
	return ctx
}

// decide approves whatever the run waits for.
func decide(t *testing.T, c *client.Client, runID string) {
	t.Helper()
	ctx := testContext(t)
	waiting, err := c.Approvals().List(ctx, client.ListApprovals{Status: client.ApprovalPending, RunID: runID})
	if err != nil {
		t.Fatal(err)
	}
	for i := range waiting.Items {
		seen := &waiting.Items[i]
		decided, err := c.Approvals().Approve(ctx, seen, "seen by a test")
		if err != nil || decided.Status != client.ApprovalApproved || decided.Verdict != client.VerdictApprove {
			t.Fatal(decided, err)
		}
		if _, err := c.Approvals().Approve(ctx, seen, "again"); !errors.Is(err, client.CodeAlreadyDecided) {
			t.Errorf("deciding twice: %v", err)
		}
		if again, err := c.Approvals().Get(ctx, seen.ApprovalID); err != nil || again.Comment != "seen by a test" {
			t.Error(again, err)
		}
	}
}

func (p platform) testRun(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	created, err := c.Runs().Create(ctx, client.CreateRun{Agent: "security-triage", Input: json.RawMessage(alert), Priority: "high"})
	if err != nil {
		t.Fatal(err)
	}
	var seqs []int64
	var types []string
	for event, err := range c.Runs().Stream(ctx, created.RunID) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Seq == 0 {
			continue
		}
		seqs, types = append(seqs, event.Seq), append(types, event.Type)
		if event.Type == "run_paused" {
			decide(t, c, created.RunID)
		}
	}
	for i, seq := range seqs {
		if seq != int64(i)+1 {
			t.Fatalf("the numbers of the events are %v", seqs)
		}
	}
	for _, want := range []string{"run_created", "tool_result", "run_paused", "approval_decided", "run_completed"} {
		if !slices.Contains(types, want) {
			t.Errorf("no %s among %v", want, types)
		}
	}
	run, err := c.Runs().Wait(ctx, created.RunID)
	if err != nil || run.Status != client.RunCompleted || run.Priority != "high" || len(run.Output) == 0 || run.LastSeq < seqs[len(seqs)-1] {
		t.Fatalf("%+v, %v", run, err)
	}
	steps, err := c.Runs().Steps(ctx, created.RunID)
	if err != nil || len(steps) != run.StepCount || steps[0].Kind != "think" {
		t.Errorf("%d steps of %d, %v", len(steps), run.StepCount, err)
	}
	given, err := c.Feedback().Give(ctx, created.RunID, client.GiveFeedback{Score: -1, Correction: "Observe first.", Category: "too_fast"})
	if err != nil || given.FeedbackID == "" {
		t.Error(given, err)
	}
	again, err := c.Runs().Retry(ctx, created.RunID)
	if err != nil || again.RunID == created.RunID {
		t.Fatal(again, err)
	}
	if cancelled, err := c.Runs().Cancel(ctx, again.RunID, "enough"); err != nil {
		t.Error(cancelled, err)
	}
	if run, err := c.Runs().Wait(ctx, again.RunID); err != nil || run.Status != client.RunCancelled {
		t.Error(run, err)
	}
}

// testCutStream puts a proxy in between that breaks each connection to the events after some of them.
func (p platform) testCutStream(t *testing.T) {
	const eventsPerConnection = 3
	upstream, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int32
	forward := httputil.NewSingleHostReverseProxy(upstream)
	forward.FlushInterval = -1
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "text/event-stream" {
			connections.Add(1)
			w = &cuttingWriter{ResponseWriter: w, left: eventsPerConnection}
		}
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	c, ctx := p.client(t, client.WithURL(proxy.URL)), testContext(t)
	created, err := c.Runs().Create(ctx, client.CreateRun{Agent: "security-triage", Input: "Brute force from 1.2.3.4 on vpn-gw-01"})
	if err != nil {
		t.Fatal(err)
	}
	var last client.Event
	for event, err := range c.Runs().Stream(ctx, created.RunID) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Seq == 0 {
			continue
		}
		if event.Seq != last.Seq+1 {
			t.Fatalf("after %d came %d", last.Seq, event.Seq)
		}
		last = event
		if event.Type == "run_paused" {
			decide(t, c, created.RunID)
		}
	}
	if last.Type != "run_completed" {
		t.Errorf("the last event was %s", last.Type)
	}
	if connections.Load() < 3 {
		t.Errorf("%d connections for %d events: the proxy did not cut", connections.Load(), last.Seq)
	}
}

// cuttingWriter breaks the connection after some events, in the middle of the next one.
type cuttingWriter struct {
	http.ResponseWriter
	left int
}

func (w *cuttingWriter) Write(chunk []byte) (int, error) {
	w.left -= bytes.Count(chunk, []byte("\nid: "))
	if bytes.HasPrefix(chunk, []byte("id: ")) {
		w.left--
	}
	if w.left < 0 {
		_, _ = w.ResponseWriter.Write(chunk[:len(chunk)/2])
		w.Flush()
		panic(http.ErrAbortHandler)
	}
	return w.ResponseWriter.Write(chunk)
}

func (w *cuttingWriter) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

func (p platform) testErrors(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	stranger := p.client(t, client.WithAPIKey("oea_nobody"))
	const nobody = "00000000-0000-7000-8000-000000000000"
	ask := func(err error) func() error { return func() error { return err } }
	_, unknownAgent := c.Runs().Create(ctx, client.CreateRun{Agent: "no-such-agent", Input: "x"})
	_, unknownRun := c.Runs().Get(ctx, nobody)
	_, badInput := c.Runs().Create(ctx, client.CreateRun{Agent: "security-triage", Input: 7})
	_, badPriority := c.Runs().Create(ctx, client.CreateRun{Agent: "security-triage", Input: "x", Priority: "asap"})
	_, badKey := stranger.Tools().List(ctx)
	_, noID := c.Runs().Get(ctx, "..")
	_, large := c.Runs().Create(ctx, client.CreateRun{Agent: "security-triage", Input: strings.Repeat("x", 300_000)})
	_, badScore := c.Feedback().Give(ctx, nobody, client.GiveFeedback{Score: 5})
	var streamed error
	for _, err := range c.Runs().Stream(ctx, nobody) {
		streamed = err
	}
	for _, test := range []struct {
		name   string
		do     func() error
		code   client.Code
		status int
		field  string
	}{
		{"unknown agent", ask(unknownAgent), client.CodeNotFound, 404, ""},
		{"unknown run", ask(unknownRun), client.CodeNotFound, 404, ""},
		{"stream of an unknown run", ask(streamed), client.CodeNotFound, 404, ""},
		{"input that is neither text nor object", ask(badInput), client.CodeInvalidInput, 400, "input"},
		{"unknown priority", ask(badPriority), client.CodeInvalidInput, 400, "priority"},
		{"unknown key", ask(badKey), client.CodeUnauthenticated, 401, ""},
		{"no id", ask(noID), client.CodeInvalidInput, 0, ""},
		{"too large", ask(large), client.CodePayloadTooLarge, 413, "input"},
		{"bad score", ask(badScore), client.CodeInvalidInput, 400, "score"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.do()
			var refused *client.Error
			if !errors.As(err, &refused) {
				t.Fatalf("%T %v", err, err)
			}
			if refused.Code != test.code || refused.Status != test.status || !strings.Contains(refused.Field, test.field) || refused.Detail == "" {
				t.Errorf("%+v", refused)
			}
			if !errors.Is(err, test.code) || errors.Is(err, client.CodeInternal) {
				t.Errorf("errors.Is does not tell the code of %v", err)
			}
			if test.status != 0 && (refused.TraceID == "" || len(refused.Members["instance"]) == 0) {
				t.Errorf("no trace id or instance in %+v", refused)
			}
		})
	}
	if text := fmt.Sprintf("%+v %#v", c, *c); strings.Contains(text, p.key) {
		t.Error("a client that is printed shows its key")
	}
}

func (p platform) testIdempotency(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	request := client.CreateRun{Agent: "security-triage", Input: "x", IdempotencyKey: "go-test-1", Delay: time.Hour}
	first, err := c.Runs().Create(ctx, request)
	if err != nil || first.Replayed {
		t.Fatal(first, err)
	}
	second, err := c.Runs().Create(ctx, request)
	if err != nil || !second.Replayed || second.RunID != first.RunID {
		t.Error(second, err)
	}
	request.Input = "y"
	if _, err := c.Runs().Create(ctx, request); !errors.Is(err, client.CodeIdempotencyMismatch) {
		t.Error(err)
	}
	request.IdempotencyKey = ""
	third, err := c.Runs().Create(ctx, request)
	if err != nil || third.RunID == first.RunID {
		t.Error("without a key each call is a run of its own", err)
	}
	for _, id := range []string{first.RunID, third.RunID} {
		if _, err := c.Runs().Cancel(ctx, id, ""); err != nil {
			t.Error(err)
		}
	}
}

func (p platform) testPages(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	page, err := c.Runs().List(ctx, client.ListRuns{PageOptions: client.PageOptions{Limit: 2}})
	if err != nil || len(page.Items) != 2 || page.NextCursor == "" {
		t.Fatal(page, err)
	}
	seen := map[string]bool{}
	for run, err := range c.Runs().All(ctx, client.ListRuns{PageOptions: client.PageOptions{Limit: 2}}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[run.RunID] {
			t.Errorf("%s came twice", run.RunID)
		}
		seen[run.RunID] = true
	}
	whole, err := c.Runs().List(ctx, client.ListRuns{PageOptions: client.PageOptions{Limit: 200}})
	if err != nil || len(whole.Items) != len(seen) {
		t.Errorf("%d runs by pages of 2, %d in one: %v", len(seen), len(whole.Items), err)
	}
	for run, err := range c.Runs().All(ctx, client.ListRuns{Status: client.RunCancelled}) {
		if err != nil || run.Status != client.RunCancelled {
			t.Error(run.Status, err)
		}
		break
	}
	count := 0
	for _, err := range c.Approvals().All(ctx, client.ListApprovals{PageOptions: client.PageOptions{Limit: 1}}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count < 2 {
		t.Errorf("%d approvals", count)
	}
}

func (p platform) testAgents(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	zero := 0.0
	request := client.CreateAgent{Name: "go-agent", Version: "1.0.0", Configuration: client.AgentConfiguration{
		SystemPrompt: "Answer.", Tools: []string{"calculator"}, Model: &client.AgentModel{Temperature: &zero, MaxTokens: 100}, MaxSteps: 3,
	}}
	created, err := c.Agents().Create(ctx, request)
	if err != nil || created.Status != client.AgentDraft || created.Configuration.MaxSteps != 3 || created.Configuration.Runtime != "native" {
		t.Fatal(created, err)
	}
	same, err := c.Agents().Create(ctx, request)
	if err != nil || same.AgentID != created.AgentID {
		t.Error("the same version again is the version that is there", err)
	}
	request.Configuration.MaxSteps = 4
	if _, err := c.Agents().Create(ctx, request); !errors.Is(err, client.CodeConflict) {
		t.Error(err)
	}
	if published, err := c.Agents().Publish(ctx, created.AgentID); err != nil || published.Status != client.AgentPublished || !published.Current {
		t.Error(published, err)
	}
	if found, err := c.Agents().Get(ctx, "go-agent"); err != nil || found.AgentID != created.AgentID {
		t.Error(found, err)
	}
	for agent, err := range c.Agents().All(ctx, client.ListAgents{Name: "go-agent", Status: client.AgentPublished}) {
		if err != nil || agent.Name != "go-agent" {
			t.Error(agent.Name, err)
		}
	}
	if gone, err := c.Agents().Deprecate(ctx, created.AgentID); err != nil || gone.Status != client.AgentDeprecated {
		t.Error(gone, err)
	}
}

func (p platform) testCatalog(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	tools, err := c.Tools().List(ctx)
	if err != nil || !slices.ContainsFunc(tools, func(tool client.Tool) bool {
		return tool.Name == "firewall_block_ip" && tool.Plugin != "" && len(tool.InputSchema) > 0 && tool.Effect == "destructive"
	}) {
		t.Error(tools, err)
	}
	plugins, err := c.Plugins().List(ctx)
	if err != nil || !slices.ContainsFunc(plugins, func(plugin client.Plugin) bool { return plugin.Name == "native" && plugin.Status != "" }) {
		t.Error(plugins, err)
	}
}

// ask runs the agent of the conformance worker to its end and gives back what it streamed.
func ask(t *testing.T, c *client.Client, input map[string]any) (run *client.Run, deltas string) {
	t.Helper()
	ctx := testContext(t)
	created, err := c.Runs().Create(ctx, client.CreateRun{Agent: "go-hosted", Input: input})
	if err != nil {
		t.Fatal(err)
	}
	for event, err := range c.Runs().Stream(ctx, created.RunID) {
		if err != nil {
			t.Fatal(err)
		}
		deltas += event.Delta()
		if event.Type != "run_paused" {
			continue
		}
		waiting, err := c.Approvals().List(ctx, client.ListApprovals{RunID: created.RunID, Status: client.ApprovalPending})
		if err != nil || len(waiting.Items) != 1 || waiting.Items[0].Kind != "uncertain" {
			t.Fatal(waiting, err)
		}
		if _, err := c.Approvals().Decide(ctx, waiting.Items[0].ApprovalID, client.ApprovalDecision{Verdict: client.VerdictFail, Comment: "it crashed"}); err != nil {
			t.Fatal(err)
		}
	}
	if run, err = c.Runs().Get(ctx, created.RunID); err != nil {
		t.Fatal(err)
	}
	return run, deltas
}

func (p platform) testHostedAgent(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	plugin, err := c.Plugins().Get(ctx, "go-conformance")
	if err != nil || plugin.Status != "ready" || len(plugin.Tools) != 8 || !slices.Equal(plugin.Agents, []string{"conformance"}) || !strings.HasPrefix(plugin.SDK, "go ") {
		t.Fatalf("%+v, %v", plugin, err)
	}
	agent, err := c.Agents().Create(ctx, client.CreateAgent{Name: "go-hosted", Version: "1", Configuration: client.AgentConfiguration{
		Runtime: "go-conformance", Entrypoint: "conformance", Settings: json.RawMessage(`{"a":1}`), Tools: []string{"conformance_echo", "conformance_fail", "conformance_crash"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Agents().Publish(ctx, agent.AgentID); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		input map[string]any
		want  []string // of the output
	}{
		{"a call and its result", map[string]any{"do": "propose", "tool": "conformance_echo", "args": map[string]any{"高": []int{1, 2}}}, []string{`{"observation":{"output":{"echo":{"高":[1,2]}}}}`}},
		{"a call that fails", map[string]any{"do": "propose", "tool": "conformance_fail", "args": map[string]any{"message": "no such host"}}, []string{"tool_failed", "no such host"}},
		{"what it kept between thinks", map[string]any{"do": "count"}, []string{`3`}},
		{"a crash in the middle, which a person judges", map[string]any{"do": "propose", "tool": "conformance_crash", "args": map[string]any{}}, []string{`"error"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			run, _ := ask(t, c, test.input)
			if run.Status != client.RunCompleted {
				t.Fatalf("%s: %+v", run.Status, run.Error)
			}
			for _, want := range test.want {
				if !strings.Contains(string(run.Output), want) {
					t.Errorf("the output %s does not hold %s", run.Output, want)
				}
			}
		})
	}
	t.Run("its text as it is produced", func(t *testing.T) {
		run, deltas := ask(t, c, map[string]any{"do": "stream", "text": "word by word 高"})
		// Deltas are previews: a reader that comes late misses some, but what comes is the text's.
		if string(run.Output) != `"word by word 高"` || !strings.Contains("word by word 高", deltas) {
			t.Errorf("deltas %q, output %s", deltas, run.Output)
		}
	})
}

func (p platform) testDeclare(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	address := "unix:" + filepath.Join(p.folder, "declared.sock")
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- openeaap.Serve(serving, openeaap.WithListen(address), openeaap.WithEnviron(func(string) string { return "" }), openeaap.WithOutput(io.Discard),
			openeaap.WithLogger(slog.New(slog.DiscardHandler)), openeaap.WithVersion("3.1.4"),
			openeaap.WithTools(openeaap.NewTool("go_declared", "Does nothing.", func(context.Context, *openeaap.ToolCall, struct{}) (any, error) { return nil, nil })))
	}()
	plugin, err := c.Plugins().Declare(ctx, client.DeclarePlugin{Name: "go-declared", Type: "runtime-worker", Address: address})
	if err != nil || plugin.Source != "api" {
		t.Fatal(plugin, err)
	}
	for ; plugin.Status != "ready"; time.Sleep(20 * time.Millisecond) {
		if plugin, err = c.Plugins().Get(ctx, "go-declared"); err != nil {
			t.Fatal(err)
		}
	}
	if plugin.Version != "3.1.4" || !slices.Equal(plugin.Tools, []string{"go_declared"}) || plugin.Copies.Ready != 1 {
		t.Errorf("%+v", plugin)
	}
	if _, err := c.Plugins().Restart(ctx, "go-declared"); err != nil {
		t.Error(err)
	}
	if err := c.Plugins().Remove(ctx, "go-declared"); err != nil {
		t.Error(err)
	}
	if _, err := c.Plugins().Get(ctx, "go-declared"); !errors.Is(err, client.CodeNotFound) {
		t.Error(err)
	}
	if _, err := c.Plugins().Declare(ctx, client.DeclarePlugin{Name: "go-declared", Type: "nonsense", Address: address}); !errors.Is(err, client.CodeInvalidInput) || !strings.Contains(err.Error(), "type") {
		t.Error(err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func (p platform) testCancel(t *testing.T) {
	c, ctx := p.client(t), testContext(t)
	created, err := c.Runs().Create(ctx, client.CreateRun{Agent: "security-triage", Input: "later", StartAt: time.Now().Add(time.Hour)})
	if err != nil || created.StartAt == nil {
		t.Fatal(created, err)
	}
	short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	if _, err := c.Runs().Wait(short, created.RunID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for as long as ctx says: %v", err)
	}
	waited := make(chan error, 1)
	go func() {
		run, err := c.Runs().Wait(ctx, created.RunID)
		if err == nil && run.Status != client.RunCancelled {
			err = fmt.Errorf("status %s", run.Status)
		}
		waited <- err
	}()
	if _, err := c.Runs().Cancel(ctx, created.RunID, "not needed"); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

func (p platform) testConnection(t *testing.T) {
	ctx := testContext(t)
	for name, opts := range map[string][]client.Option{
		"state folder":         {noEnvironment, client.WithDataDir(p.folder)},
		"address and its file": {noEnvironment, client.WithURL(p.url), client.WithDataDir(p.folder)},
		"environment": {client.WithEnviron(func(name string) string {
			return map[string]string{"OPENEAAP_URL": p.url, "OPENEAAP_API_KEY": p.key}[name]
		})},
		"folder of environment": {client.WithEnviron(func(name string) string { return map[string]string{"OPENEAAP_DATA_DIR": p.folder}[name] })},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.New(opts...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Tools().List(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}
