package main

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	openeaap "github.com/openeaap/openeaap/sdk/go"
)

// A tool is a function, and is tested as one.
func TestThisMachineHasALoopbackAddress(t *testing.T) {
	out, err := resolve(context.Background(), &openeaap.ToolCall{Log: slog.New(slog.DiscardHandler)}, resolveInput{Host: "localhost"})
	if err != nil || !slices.ContainsFunc(out.Addresses, func(address string) bool { return address == "127.0.0.1" || address == "::1" }) {
		t.Error(out, err)
	}
}
