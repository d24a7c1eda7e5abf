// Command first-tool is a plugin with one tool: it asks the name server which addresses a host has.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	openeaap "github.com/openeaap/openeaap/sdk/go"
)

type resolveInput struct {
	Host string `json:"host" description:"Name of the host, e.g. mail.example.com" jsonschema:"format=hostname"`
}

type resolveOutput struct {
	Host      string   `json:"host"`
	Addresses []string `json:"addresses"`
}

func main() {
	tool := openeaap.NewTool("resolve_host", "Says which IP addresses the name of a host has now. Use it when an alert names a host and not an address.", resolve,
		openeaap.WithEffect(openeaap.Read),
		// Whoever owns the name decides what it says.
		openeaap.WithUntrustedOutput(),
	)
	if err := openeaap.Serve(context.Background(), openeaap.WithTools(tool), openeaap.WithName("first-tool"), openeaap.WithVersion("1.0.0")); err != nil {
		fmt.Fprintln(os.Stderr, "first-tool:", err)
		os.Exit(1)
	}
}

func resolve(ctx context.Context, call *openeaap.ToolCall, in resolveInput) (resolveOutput, error) {
	call.Log.Info("resolving", "host", in.Host)
	addresses, err := net.DefaultResolver.LookupHost(ctx, in.Host)
	var failure *net.DNSError
	switch {
	case errors.As(err, &failure) && failure.IsNotFound:
		return resolveOutput{}, openeaap.Failed(fmt.Sprintf("no host has the name %q", in.Host))
	case err != nil:
		return resolveOutput{}, openeaap.Unavailable("the name server does not answer")
	}
	return resolveOutput{Host: in.Host, Addresses: addresses}, nil
}
