// Package client speaks the REST API of an OpenEAAP platform.
//
//	platform, err := client.New()
//	run, err := platform.Runs().Create(ctx, client.CreateRun{Agent: "security-triage", Input: "Alert: ..."})
//	for event, err := range platform.Runs().Stream(ctx, run.RunID) {
//		...
//	}
//
// Every error of the platform is an [*Error] with one of a closed set of codes:
//
//	var refused *client.Error
//	if errors.As(err, &refused) && refused.Code == client.CodeNotFound { ... }
//	if errors.Is(err, client.CodeNotFound) { ... } // the same
package client
