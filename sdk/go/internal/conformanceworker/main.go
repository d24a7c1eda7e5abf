// Command conformanceworker is a plugin with exactly the tools and the agent that the conformance
// kit of the plugin protocol asks for, so that the kit tests everything that this SDK promises.
package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	openeaap "github.com/openeaap/openeaap/sdk/go"
)

func main() {
	var cancelledSleeps atomic.Int64
	err := openeaap.Serve(context.Background(),
		openeaap.WithName("conformance-go"),
		openeaap.WithVersion("1.0.0"),
		openeaap.WithTools(conformanceTools(&cancelledSleeps)...),
		openeaap.WithAgents(conformanceAgent(&cancelledSleeps)),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformanceworker:", err)
		os.Exit(1)
	}
}
