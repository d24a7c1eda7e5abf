package openeaap

import (
	"log/slog"
	"sync"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
)

// ToolCall is what a tool knows of the call besides its arguments.
type ToolCall struct {
	RunID    string
	StepID   string
	StepNo   int
	TenantID string
	// AgentID is the agent of the platform on whose behalf the call is made.
	AgentID string
	// IdempotencyKey is the same for each try of one step: pass it to the product that does the work.
	IdempotencyKey string
	// Principal is the person on whose behalf the call is made.
	Principal Principal
	// DryRun: nothing in the world may change; say what would be done. A tool that does not only
	// read sees it only with [WithDryRun]; without, such a call is refused.
	DryRun bool
	// TraceContext holds W3C trace context headers to pass on: traceparent, tracestate.
	TraceContext map[string]string
	Secrets      Secrets
	// Log knows the run and the step and leaves the values of the secrets out.
	Log *slog.Logger

	lineage *lineage
}

// Principal is the person on whose behalf a step is done.
type Principal struct {
	UserID string
	// Groups are bare names, e.g. security-ops.
	Groups []string
	// Clearance is the most sensitive knowledge that the user may read: 1 public, 2 internal,
	// 3 confidential.
	Clearance int
}

// LineageRef names knowledge that a result was made from.
type LineageRef struct {
	ChunkID string
	Title   string
	Source  string
	Score   float64
}

// AddLineage says which knowledge the result is made from. It may be called at any time before the
// tool returns, by any goroutine.
func (c *ToolCall) AddLineage(refs ...LineageRef) {
	c.lineage.mu.Lock()
	defer c.lineage.mu.Unlock()
	for _, ref := range refs {
		c.lineage.refs = append(c.lineage.refs, &runtimev1.LineageRef{ChunkId: ref.ChunkID, Title: ref.Title, Source: ref.Source, Score: ref.Score})
	}
}

type lineage struct {
	mu   sync.Mutex
	refs []*runtimev1.LineageRef
}

func (l *lineage) all() []*runtimev1.LineageRef {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refs
}

func fromProtoPrincipal(p *runtimev1.Principal) Principal {
	return Principal{UserID: p.GetUserId(), Groups: p.GetGroups(), Clearance: int(p.GetClearance())}
}
