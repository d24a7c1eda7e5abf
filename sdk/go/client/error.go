package client

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"
)

// Code says what kind of error an [Error] is. It is an error itself, so that errors.Is compares with it.
type Code string

// The codes of the platform, and two of this package.
const (
	CodeInvalidInput        Code = "invalid_input"
	CodePayloadTooLarge     Code = "payload_too_large"
	CodeUnauthenticated     Code = "unauthenticated"
	CodePermissionDenied    Code = "permission_denied"
	CodeNotFound            Code = "not_found"
	CodeGone                Code = "gone"
	CodeConflict            Code = "conflict"
	CodeIdempotencyMismatch Code = "idempotency_mismatch"
	CodeAlreadyDecided      Code = "already_decided"
	CodeHashMismatch        Code = "hash_mismatch"
	CodePolicyDenied        Code = "policy_denied"
	CodeApprovalRejected    Code = "approval_rejected"
	CodeApprovalExpired     Code = "approval_expired"
	CodePolicyInvalid       Code = "policy_invalid"
	CodeQuotaExceeded       Code = "quota_exceeded"
	CodeModelUnavailable    Code = "model_unavailable"
	CodeModelInvalidOutput  Code = "model_invalid_output"
	CodeModelRejected       Code = "model_rejected"
	CodeToolFailed          Code = "tool_failed"
	CodeToolTimeout         Code = "tool_timeout"
	CodeToolUnavailable     Code = "tool_unavailable"
	CodeStepBudgetExceeded  Code = "step_budget_exceeded"
	CodeCancelled           Code = "cancelled"
	CodeFenced              Code = "fenced"
	CodeUnavailable         Code = "unavailable"
	CodeUnsupported         Code = "unsupported"
	CodeInternal            Code = "internal"

	// CodeUnreachable: no answer came.
	CodeUnreachable Code = "unreachable"
	// CodeBadResponse: an answer came that is not one of an OpenEAAP server.
	CodeBadResponse Code = "bad_response"
)

func (c Code) Error() string { return string(c) }

// Error is an answer of the platform that is not a success (RFC 9457), or the lack of one.
type Error struct {
	Code Code
	// Status of HTTP; 0: no answer came.
	Status int
	Title  string
	// Detail says what is wrong and is safe to show.
	Detail string
	// Field is the path of the field that is wrong, if one is.
	Field string
	// Cure says what to do about it, if that is known.
	Cure    string
	TraceID string
	// RetryAfter is how long to wait before the next try; 0: nobody said.
	RetryAfter time.Duration
	// Members are all members of the problem, by name; which there are depends on the code.
	Members map[string]json.RawMessage

	cause error
}

func (e *Error) Error() string {
	text := string(e.Code) + ": " + cmp.Or(e.Detail, e.Title, "the server gave no reason")
	if e.Field != "" {
		text += fmt.Sprintf(" (field %s)", e.Field)
	}
	if e.Cure != "" {
		text += " " + e.Cure
	}
	return text
}

// Unwrap gives what went wrong below HTTP, if anything did.
func (e *Error) Unwrap() error { return e.cause }

// Is compares with a [Code].
func (e *Error) Is(target error) bool {
	code, isCode := target.(Code)
	return isCode && e.Code == code
}

// problem is the body of an error answer.
type problem struct {
	Code    Code   `json:"code"`
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Field   string `json:"field"`
	Cure    string `json:"cure"`
	TraceID string `json:"trace_id"`
}

func fromProblem(status int, retryAfter time.Duration, body []byte) *Error {
	var known problem
	if err := json.Unmarshal(body, &known); err != nil || known.Code == "" {
		return &Error{
			Code: codeOfStatus(status), Status: status, RetryAfter: retryAfter,
			Detail: fmt.Sprintf("HTTP %d with a body that is no problem of an OpenEAAP server.", status),
			Cure:   "Is this the address of an OpenEAAP server, or of a proxy before it?",
		}
	}
	members := map[string]json.RawMessage{}
	// It was an object a moment ago.
	_ = json.Unmarshal(body, &members)
	return &Error{
		Code: known.Code, Status: status, Title: known.Title, Detail: known.Detail, Field: known.Field,
		Cure: known.Cure, TraceID: known.TraceID, RetryAfter: retryAfter, Members: members,
	}
}

// codeOfStatus is for answers of a proxy in between: those that say "later" stay what they are.
func codeOfStatus(status int) Code {
	switch status {
	case 429:
		return CodeQuotaExceeded
	case 502, 503, 504:
		return CodeUnavailable
	default:
		return CodeBadResponse
	}
}
