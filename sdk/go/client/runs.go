package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"iter"
	"net/url"
	"time"
)

// Runs is the part of the API about runs.
type Runs struct{ client *Client }

// RunStatus of a run.
type RunStatus string

// A run is pending, running or paused until it is completed, failed or cancelled.
const (
	RunPending   RunStatus = "pending"
	RunRunning   RunStatus = "running"
	RunPaused    RunStatus = "paused"
	RunCompleted RunStatus = "completed"
	RunFailed    RunStatus = "failed"
	RunCancelled RunStatus = "cancelled"
)

// Ended says whether the run has come to its end.
func (s RunStatus) Ended() bool { return s == RunCompleted || s == RunFailed || s == RunCancelled }

// CreateRun is what a run is started with.
type CreateRun struct {
	// Agent is a name (its current version), name@version, or the id of a version.
	Agent string
	// Input is a text, or anything that encoding/json writes as an object.
	Input any
	// UserID on whose behalf it runs; empty: the owner of the key.
	UserID string
	// IdempotencyKey makes the same request the same run; empty: one is made, so that tries after a
	// lost answer start no second run.
	IdempotencyKey string
	// Priority is low, normal, high or urgent; empty: normal.
	Priority string
	// StartAt or Delay: accept the run now and begin it later, at most 30 days ahead.
	StartAt time.Time
	Delay   time.Duration
}

// createRunBody is a CreateRun as it is sent.
type createRunBody struct {
	Input          any       `json:"input"`
	UserID         string    `json:"user_id,omitempty"`
	IdempotencyKey string    `json:"idempotency_key"`
	Priority       string    `json:"priority,omitempty"`
	StartAt        time.Time `json:"start_at,omitzero"`
	DelaySeconds   int64     `json:"delay_s,omitempty"`
}

// RunCreated is a run that has been accepted.
type RunCreated struct {
	RunID        string     `json:"run_id"`
	Status       RunStatus  `json:"status"`
	TraceID      string     `json:"trace_id"`
	AgentID      string     `json:"agent_id"`
	AgentVersion string     `json:"agent_version"`
	StartAt      *time.Time `json:"start_at"`
	CreatedAt    time.Time  `json:"created_at"`
	// Replayed: the idempotency key was seen before; this is that run.
	Replayed bool `json:"replayed"`
}

// Run as it is now.
type Run struct {
	RunID         string    `json:"run_id"`
	AgentID       string    `json:"agent_id"`
	AgentName     string    `json:"agent_name"`
	AgentVersion  string    `json:"agent_version"`
	PolicyVersion string    `json:"policy_version"`
	UserID        string    `json:"user_id"`
	TraceID       string    `json:"trace_id"`
	Status        RunStatus `json:"status"`
	Priority      string    `json:"priority"`
	// PauseReason is approval, uncertain_outcome or empty.
	PauseReason string          `json:"pause_reason"`
	Input       json.RawMessage `json:"input"`
	// Output is null until completed.
	Output           json.RawMessage `json:"output"`
	Error            *RunError       `json:"error"`
	Source           string          `json:"source"`
	StepCount        int             `json:"step_count"`
	LastSeq          int64           `json:"last_seq"`
	Usage            Usage           `json:"usage"`
	Lineage          []Lineage       `json:"lineage"`
	PendingApprovals []string        `json:"pending_approvals"`
	StartAt          *time.Time      `json:"start_at"`
	CancelRequested  *time.Time      `json:"cancel_requested_at"`
	CreatedAt        time.Time       `json:"created_at"`
	StartedAt        *time.Time      `json:"started_at"`
	FinishedAt       *time.Time      `json:"finished_at"`
}

// RunError is why a run has failed.
type RunError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// FallbackText is what the agent says when no model answers.
	FallbackText string `json:"fallback_text"`
}

// Usage of models.
type Usage struct {
	PromptTokens     int64   `json:"prompt_tokens"`
	CompletionTokens int64   `json:"completion_tokens"`
	CostUSD          float64 `json:"cost_usd"`
}

// Lineage is knowledge that a run used.
type Lineage struct {
	ChunkID string  `json:"chunk_id"`
	Title   string  `json:"title"`
	Source  string  `json:"source"`
	Score   float64 `json:"score"`
}

// Step is a think or an act of a run; Kind says which, and which of the fields are set.
type Step struct {
	No       int             `json:"no"`
	Kind     string          `json:"kind"`
	Status   string          `json:"status"`
	Thought  string          `json:"thought"`
	Calls    []StepCall      `json:"calls"`
	Output   json.RawMessage `json:"output"`
	Usage    *Usage          `json:"usage"`
	Model    string          `json:"model"`
	ThinkNo  int             `json:"think_no"`
	CallID   string          `json:"call_id"`
	Tool     string          `json:"tool"`
	Args     json.RawMessage `json:"args"`
	Decision *Decision       `json:"decision"`
	// ApprovalID that an act waited for, if it did.
	ApprovalID string          `json:"approval_id"`
	Result     json.RawMessage `json:"result"`
	Suspicious bool            `json:"suspicious"`
	Error      *RunError       `json:"error"`
	Attempts   int             `json:"attempts"`
	Lineage    []Lineage       `json:"lineage"`
	StartedAt  time.Time       `json:"started_at"`
	FinishedAt *time.Time      `json:"finished_at"`
}

// StepCall is a call that a think proposed.
type StepCall struct {
	ID   string          `json:"id"`
	Tool string          `json:"tool"`
	Args json.RawMessage `json:"args"`
}

// Decision of the policy.
type Decision struct {
	// Effect is allow, deny or require_approval.
	Effect        string `json:"effect"`
	Rule          string `json:"rule"`
	Reason        string `json:"reason"`
	PolicyVersion string `json:"policy_version"`
}

// Create starts a run. It is answered only when the run is stored.
func (r *Runs) Create(ctx context.Context, request CreateRun) (*RunCreated, error) {
	key := request.IdempotencyKey
	if key == "" {
		var err error
		if key, err = newIdempotencyKey(); err != nil {
			return nil, err
		}
	}
	body := createRunBody{
		Input: request.Input, UserID: request.UserID, IdempotencyKey: key, Priority: request.Priority, StartAt: request.StartAt,
		// Not before the delay is over: a part of a second counts as one.
		DelaySeconds: int64((request.Delay + time.Second - 1) / time.Second),
	}
	var created RunCreated
	if err := r.client.post(ctx, body, &created, true, "agents", request.Agent, "runs"); err != nil {
		return nil, err
	}
	return &created, nil
}

func newIdempotencyKey() (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return "go-" + hex.EncodeToString(random), nil
}

// Get a run.
func (r *Runs) Get(ctx context.Context, runID string) (*Run, error) {
	var run Run
	if err := r.client.get(ctx, &run, nil, "runs", runID); err != nil {
		return nil, err
	}
	return &run, nil
}

// ListRuns says which runs are wanted; what is empty does not count.
type ListRuns struct {
	PageOptions
	Status  RunStatus
	AgentID string
	UserID  string
	// Source e.g. api, trigger:siem.
	Source string
}

// List gives one page of runs, newest first.
func (r *Runs) List(ctx context.Context, which ListRuns) (*Page[Run], error) {
	query := which.add(url.Values{})
	addText(query, "status", string(which.Status))
	addText(query, "agent_id", which.AgentID)
	addText(query, "user_id", which.UserID)
	addText(query, "source", which.Source)
	var page Page[Run]
	if err := r.client.get(ctx, &page, query, "runs"); err != nil {
		return nil, err
	}
	return &page, nil
}

// All gives the runs of all pages.
func (r *Runs) All(ctx context.Context, which ListRuns) iter.Seq2[Run, error] {
	return allPages(ctx, which.PageOptions, func(ctx context.Context, options PageOptions) (*Page[Run], error) {
		which.PageOptions = options
		return r.List(ctx, which)
	})
}

// Steps are the journal of a run: thinks and acts in order.
func (r *Runs) Steps(ctx context.Context, runID string) ([]Step, error) {
	var list struct{ Items []Step }
	if err := r.client.get(ctx, &list, nil, "runs", runID, "steps"); err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Wait returns when the run has ended, however it has. A run that waits for a person waits here too;
// ctx says for how long.
func (r *Runs) Wait(ctx context.Context, runID string) (*Run, error) {
	run, err := r.Get(ctx, runID)
	if err != nil || run.Status.Ended() {
		return run, err
	}
	for _, err := range r.StreamAfter(ctx, runID, run.LastSeq) {
		if err != nil {
			return nil, err
		}
	}
	return r.Get(ctx, runID)
}

// Cancel a run. It takes effect before the next think or act.
func (r *Runs) Cancel(ctx context.Context, runID, reason string) (*Run, error) {
	body := struct {
		Reason string `json:"reason,omitempty"`
	}{reason}
	var run Run
	if err := r.client.post(ctx, body, &run, true, "runs", runID, "cancel"); err != nil {
		return nil, err
	}
	return &run, nil
}

// Retry starts a new run with the input of an old one.
func (r *Runs) Retry(ctx context.Context, runID string) (*RunCreated, error) {
	var created RunCreated
	if err := r.client.post(ctx, struct{}{}, &created, false, "runs", runID, "retry"); err != nil {
		return nil, err
	}
	return &created, nil
}
