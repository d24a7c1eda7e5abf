package openeaap_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// process is the conformance worker as a program of its own.
type process struct {
	plugin
	command *exec.Cmd
	output  *bufio.Reader
	exited  chan error
}

func startWorker(t *testing.T) *process {
	t.Helper()
	folder := t.TempDir()
	binary := filepath.Join(folder, "worker")
	if output, err := exec.Command("go", "build", "-o", binary, "./internal/conformanceworker").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	p := &process{command: exec.Command(binary), exited: make(chan error, 1)}
	p.command.Env = append(os.Environ(), "OPENEAAP_PLUGIN_LISTEN=unix:"+filepath.Join(folder, "s"), "OPENEAAP_PLUGIN_NAME=from-environment")
	p.command.Stderr = os.Stderr
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
	return p
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

func TestSIGTERMLetsTheStepFinishAndEndsWithZero(t *testing.T) {
	p := startWorker(t)
	if answer, err := p.Handshake(testContext(t), &runtimev1.HandshakeRequest{ProtocolVersions: []uint32{1}}); err != nil || answer.GetName() != "from-environment" || len(answer.GetTools()) != 8 {
		t.Fatal(answer, err)
	}
	type outcome struct {
		response *runtimev1.ExecuteStepResponse
		err      error
	}
	done := make(chan outcome, 1)
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	stream, err := p.ExecuteStepStream(ctx, toolStep("conformance_sleep", `{"ms":500}`))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		event, err := stream.Recv()
		done <- outcome{event.GetResponse(), err}
	}()
	// An answered call on the same connection: the step before it has begun as well.
	if _, err := p.HealthCheck(ctx, &runtimev1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
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

func TestAStepThatDoesNotEndIsCutAfterTenSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a drain: 10 s")
	}
	t.Parallel()
	p := startWorker(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := p.ExecuteStepStream(ctx, toolStep("conformance_sleep", `{"ms":600000}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.HealthCheck(ctx, &runtimev1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) == codes.OK {
		t.Error("the step was answered")
	}
	if _, code := p.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took < 9*time.Second || took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestACrashIsSeenAsOneByTheCaller(t *testing.T) {
	p := startWorker(t)
	_, err := p.ExecuteStep(testContext(t), toolStep("conformance_crash", `{}`))
	if status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	if _, code := p.wait(t); code != 70 {
		t.Errorf("exit code %d", code)
	}
}
