package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	openeaap "github.com/openeaap/openeaap/sdk/go"
)

// crashCode is the exit code of a worker that was asked to crash.
const crashCode = 70

type echoOutput struct {
	Echo json.RawMessage `json:"echo"`
}

type sleepInput struct {
	Ms int `json:"ms" description:"How long, in milliseconds" jsonschema:"minimum=0,maximum=600000"`
}

type sleepOutput struct {
	SleptMs int `json:"slept_ms"`
}

type failInput struct {
	Message string `json:"message" description:"What to fail with"`
}

type countOutput struct {
	Calls   int `json:"calls"`
	Effects int `json:"effects"`
}

type secretOutput struct {
	SHA256 string `json:"sha256"`
}

type bigInput struct {
	Bytes int `json:"bytes" description:"Length of the text" jsonschema:"minimum=0,maximum=67108864"`
}

type bigOutput struct {
	Text string `json:"text"`
}

type sleepsSeenOutput struct {
	Cancelled int64 `json:"cancelled"`
}

// conformanceTools count the sleeps that were stopped early, those of the agent as well.
func conformanceTools(cancelledSleeps *atomic.Int64) []*openeaap.Tool {
	counts := &callCounts{calls: map[string]int{}}
	return []*openeaap.Tool{
		openeaap.NewTool("conformance_echo", "Returns its arguments.",
			func(_ context.Context, _ *openeaap.ToolCall, in json.RawMessage) (echoOutput, error) {
				return echoOutput{Echo: in}, nil
			}, openeaap.WithEffect(openeaap.Read)),

		openeaap.NewTool("conformance_sleep", "Waits; stops when cancelled.",
			func(ctx context.Context, call *openeaap.ToolCall, in sleepInput) (sleepOutput, error) {
				call.Log.Info("sleeping", "ms", in.Ms)
				if err := sleep(ctx, in.Ms); err != nil {
					cancelledSleeps.Add(1)
					return sleepOutput{}, err
				}
				return sleepOutput{SleptMs: in.Ms}, nil
			}, openeaap.WithEffect(openeaap.Read)),

		openeaap.NewTool("conformance_fail", "Fails with the message that it is given.",
			func(_ context.Context, _ *openeaap.ToolCall, in failInput) (any, error) {
				return nil, openeaap.Failed(in.Message)
			}, openeaap.WithEffect(openeaap.Write)),

		openeaap.NewTool("conformance_crash", "Ends its process without an answer.",
			func(context.Context, *openeaap.ToolCall, struct{}) (any, error) {
				os.Exit(crashCode)
				return nil, nil
			}, openeaap.WithEffect(openeaap.Write)),

		openeaap.NewTool("conformance_count", "Counts its calls by idempotency key.",
			func(_ context.Context, call *openeaap.ToolCall, _ struct{}) (countOutput, error) {
				return counts.add(call.IdempotencyKey), nil
			}, openeaap.WithEffect(openeaap.Write), openeaap.WithIdempotent()),

		openeaap.NewTool("conformance_secret", "Returns the SHA-256 of its secret.",
			func(_ context.Context, call *openeaap.ToolCall, _ struct{}) (secretOutput, error) {
				sum := sha256.Sum256([]byte(call.Secrets.Get("CONFORMANCE_SECRET")))
				return secretOutput{SHA256: hex.EncodeToString(sum[:])}, nil
			}, openeaap.WithEffect(openeaap.Read), openeaap.WithSecrets("CONFORMANCE_SECRET")),

		openeaap.NewTool("conformance_big", "Returns a text of a length.",
			func(_ context.Context, _ *openeaap.ToolCall, in bigInput) (bigOutput, error) {
				return bigOutput{Text: strings.Repeat("x", in.Bytes)}, nil
			}, openeaap.WithEffect(openeaap.Read)),

		openeaap.NewTool("conformance_sleeps_seen", "Says how many sleeps were stopped early.",
			func(context.Context, *openeaap.ToolCall, struct{}) (sleepsSeenOutput, error) {
				return sleepsSeenOutput{Cancelled: cancelledSleeps.Load()}, nil
			}, openeaap.WithEffect(openeaap.Read)),
	}
}

// callCounts stands for the product behind an idempotent tool, which remembers the keys.
type callCounts struct {
	mu    sync.Mutex
	calls map[string]int
}

func (c *callCounts) add(key string) countOutput {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[key]++
	return countOutput{Calls: c.calls[key], Effects: 1}
}

func sleep(ctx context.Context, ms int) error {
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
