package openeaap_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// TestThePluginAsAProcess builds the conformance worker once for all that is asked of it.
func TestThePluginAsAProcess(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "worker")
	if output, err := exec.Command("go", "build", "-o", binary, "./internal/conformanceworker").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	t.Run("SIGTERM lets a step finish and ends with zero", func(t *testing.T) { testDrain(t, startWorker(t, binary)) })
	t.Run("a step that does not end is cut after ten seconds", func(t *testing.T) {
		if testing.Short() {
			t.Skip("takes as long as a drain")
		}
		testDrainLimit(t, startWorker(t, binary))
	})
	t.Run("a crash is seen as one by the caller", func(t *testing.T) { testCrash(t, startWorker(t, binary)) })
}

// process is the conformance worker as a program of its own.
type process struct {
	plugin
	command *exec.Cmd
	output  *bufio.Reader
	stderr  *syncBuffer
}

func startWorker(t *testing.T, binary string) *process {
	t.Helper()
	p := &process{command: exec.Command(binary), stderr: &syncBuffer{}}
	p.command.Env = append(os.Environ(), "OPENEAAP_PLUGIN_LISTEN=unix:"+filepath.Join(t.TempDir(), "s"), "OPENEAAP_PLUGIN_NAME=from-environment")
	p.command.Stderr = p.stderr
	pipe, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.command.Process.Kill() })
	p.output = bufio.NewReader(pipe)
	line, err := p.output.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var announced struct{ Listen string }
	if err := json.Unmarshal(line, &announced); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	p.listen = announced.Listen
	p.connect(t, grpc.WithTransportCredentials(insecure.NewCredentials()))
	t.Cleanup(func() { p.conn.Close() })
	return p
}

// sleepStep begins a step that takes a while, and returns when it is under way.
func (p *process) sleepStep(t *testing.T, ctx context.Context, args string) chan stepOutcome {
	t.Helper()
	done := make(chan stepOutcome, 1)
	go func() {
		response, err := p.ExecuteStep(ctx, toolStep("conformance_sleep", args))
		done <- stepOutcome{response, err}
	}()
	for ; !strings.Contains(p.stderr.String(), `"sleeping"`); time.Sleep(5 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("the step did not begin")
		}
	}
	return done
}

type stepOutcome struct {
	response *runtimev1.ExecuteStepResponse
	err      error
}

// wait collects the rest of standard output and the exit code.
func (p *process) wait(t *testing.T) (rest string, code int) {
	t.Helper()
	text, err := io.ReadAll(p.output)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.command.Wait()
	return string(text), p.command.ProcessState.ExitCode()
}

func testDrain(t *testing.T, p *process) {
	ctx := testContext(t)
	answer, err := p.Handshake(ctx, &runtimev1.HandshakeRequest{ProtocolVersions: []uint32{1}})
	if err != nil || answer.GetName() != "from-environment" || len(answer.GetTools()) != 8 {
		t.Fatal(answer, err)
	}
	done := p.sleepStep(t, ctx, `{"ms":500}`)
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || got.response.GetOutputPayload() != `{"slept_ms":500}` {
		t.Error(got.response, got.err)
	}
	if rest, code := p.wait(t); code != 0 || rest != "" {
		t.Errorf("exit code %d, and more on standard output: %q", code, rest)
	}
}

func testDrainLimit(t *testing.T, p *process) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := p.sleepStep(t, ctx, `{"ms":600000}`)
	began := time.Now()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-done; status.Code(got.err) == codes.OK {
		t.Error("the step was answered")
	}
	if _, code := p.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took < 9*time.Second || took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

func testCrash(t *testing.T, p *process) {
	_, err := p.ExecuteStep(testContext(t), toolStep("conformance_crash", `{}`))
	if status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	if _, code := p.wait(t); code != 70 {
		t.Errorf("exit code %d", code)
	}
}
