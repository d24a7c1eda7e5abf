// Package openeaap lets a Go program offer tools and agents to an OpenEAAP platform.
//
// A program makes tools with [NewTool] and agents with [NewAgent] and hands them to [Serve], which
// speaks the plugin protocol (openeaap.runtime.v1) and ends when it is told to:
//
//	type Input struct {
//		IP string `json:"ip" description:"The address to look up" jsonschema:"format=ipv4"`
//	}
//
//	lookup := openeaap.NewTool("lookup_ip", "Says what is known about an address.",
//		func(ctx context.Context, call *openeaap.ToolCall, in Input) (Report, error) { ... },
//		openeaap.WithEffect(openeaap.Read))
//
//	err := openeaap.Serve(ctx, openeaap.WithTools(lookup))
//
// What a tool or an agent returns as an error reaches the platform as one of the codes of the
// protocol: [Failed] and [Unavailable] say what they mean; any other error is INTERNAL with a
// message that gives nothing away, and its text is logged.
//
// The REST API of the platform is in the package client beside this one.
package openeaap

//go:generate go run ./internal/generate
