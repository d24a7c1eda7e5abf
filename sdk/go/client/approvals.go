package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"time"
)

// Approvals is the part of the API about calls that wait for a person.
type Approvals struct{ client *Client }

// ApprovalStatus of an approval.
type ApprovalStatus string

// An approval is pending until it is decided, expires or its run ends.
const (
	ApprovalPending   ApprovalStatus = "pending"
	ApprovalApproved  ApprovalStatus = "approved"
	ApprovalRejected  ApprovalStatus = "rejected"
	ApprovalExpired   ApprovalStatus = "expired"
	ApprovalCancelled ApprovalStatus = "cancelled"
)

// Verdict on an approval.
type Verdict string

// The first three answer a gate; the others a call whose outcome is unknown.
const (
	VerdictApprove  Verdict = "approve"
	VerdictEdit     Verdict = "edit"
	VerdictReject   Verdict = "reject"
	VerdictRetry    Verdict = "retry"
	VerdictMarkDone Verdict = "mark_done"
	VerdictFail     Verdict = "fail"
)

// Approval is one call that waits, or waited, for a person.
type Approval struct {
	ApprovalID string `json:"approval_id"`
	RunID      string `json:"run_id"`
	StepNo     int    `json:"step_no"`
	// Kind is gate or uncertain.
	Kind string          `json:"kind"`
	Tool string          `json:"tool"`
	Args json.RawMessage `json:"args"`
	// EditedArgs is what the last edit changed them to, or null.
	EditedArgs json.RawMessage `json:"edited_args"`
	// CallHash of the call that waits; sent with a verdict, it is about this call and no other.
	CallHash        string         `json:"call_hash"`
	Rule            string         `json:"rule"`
	Reason          string         `json:"reason"`
	Approvers       []string       `json:"approvers"`
	ApproversNow    []string       `json:"approvers_now"`
	ForbidRequester bool           `json:"forbid_requester"`
	MinApprovals    int            `json:"min_approvals"`
	ApprovalsGiven  int            `json:"approvals_given"`
	Votes           []Vote         `json:"votes"`
	Requester       string         `json:"requester"`
	PolicyVersion   string         `json:"policy_version"`
	Status          ApprovalStatus `json:"status"`
	Verdict         Verdict        `json:"verdict"`
	DecidedBy       string         `json:"decided_by"`
	DecidedAt       *time.Time     `json:"decided_at"`
	Comment         string         `json:"comment"`
	CreatedAt       time.Time      `json:"created_at"`
	ExpiresAt       time.Time      `json:"expires_at"`
	AllowedVerdicts []Verdict      `json:"allowed_verdicts"`
}

// Vote of one person.
type Vote struct {
	Voter    string    `json:"voter"`
	Verdict  Verdict   `json:"verdict"`
	CallHash string    `json:"call_hash"`
	Counts   bool      `json:"counts"`
	Comment  string    `json:"comment"`
	At       time.Time `json:"at"`
}

// ListApprovals says which approvals are wanted; what is empty does not count.
type ListApprovals struct {
	PageOptions
	Status ApprovalStatus
	RunID  string
}

// List gives one page of approvals, newest first.
func (a *Approvals) List(ctx context.Context, which ListApprovals) (*Page[Approval], error) {
	query := which.add(url.Values{})
	addText(query, "status", string(which.Status))
	addText(query, "run_id", which.RunID)
	var page Page[Approval]
	if err := a.client.get(ctx, &page, query, "approvals"); err != nil {
		return nil, err
	}
	return &page, nil
}

// All gives the approvals of all pages.
func (a *Approvals) All(ctx context.Context, which ListApprovals) iter.Seq2[Approval, error] {
	return allPages(ctx, which.PageOptions, func(ctx context.Context, options PageOptions) (*Page[Approval], error) {
		which.PageOptions = options
		return a.List(ctx, which)
	})
}

// Get an approval.
func (a *Approvals) Get(ctx context.Context, approvalID string) (*Approval, error) {
	var approval Approval
	if err := a.client.get(ctx, &approval, nil, "approvals", approvalID); err != nil {
		return nil, err
	}
	return &approval, nil
}

// ApprovalDecision is a verdict on the call of an approval.
type ApprovalDecision struct {
	Verdict Verdict `json:"verdict"`
	// CallHash of the approval as it was seen; another call is refused with hash_mismatch.
	CallHash string `json:"call_hash,omitempty"`
	// Args are needed for an edit, and only there.
	Args any `json:"args,omitempty"`
	// Comment is needed to reject.
	Comment string `json:"comment,omitempty"`
}

// Decide grants or refuses exactly one call, once. It is never sent twice.
func (a *Approvals) Decide(ctx context.Context, approvalID string, decision ApprovalDecision) (*Approval, error) {
	var approval Approval
	if err := a.client.post(ctx, decision, &approval, false, "approvals", approvalID, "decide"); err != nil {
		return nil, err
	}
	return &approval, nil
}

// Approve the call as it was seen.
func (a *Approvals) Approve(ctx context.Context, seen *Approval, comment string) (*Approval, error) {
	return a.Decide(ctx, seen.ApprovalID, ApprovalDecision{Verdict: VerdictApprove, CallHash: seen.CallHash, Comment: comment})
}

// Edit approves the call as it was seen, with other arguments.
func (a *Approvals) Edit(ctx context.Context, seen *Approval, args any, comment string) (*Approval, error) {
	return a.Decide(ctx, seen.ApprovalID, ApprovalDecision{Verdict: VerdictEdit, CallHash: seen.CallHash, Args: args, Comment: comment})
}

// Reject the call; the comment says why.
func (a *Approvals) Reject(ctx context.Context, seen *Approval, comment string) (*Approval, error) {
	return a.Decide(ctx, seen.ApprovalID, ApprovalDecision{Verdict: VerdictReject, CallHash: seen.CallHash, Comment: comment})
}
